//! `cargo xtask up`: the whole thing on one machine, with an account linked through the real flow.

pub(crate) mod demo;
mod guide;
pub(crate) mod stack;

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, ensure};

use self::demo::Demo;
use self::guide::Guide;
use self::stack::{Settings, Stack, Store};
use crate::console::{self, Step};
use crate::grpc::{self, Client};
use crate::postgres::Postgres;
use crate::process;
use crate::tools::Tools;
use crate::workspace::Workspace;

/// What `cargo xtask up` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the service listens for gRPC, on loopback
    #[arg(long, value_name = "ADDRESS", default_value = grpc::ADDRESS)]
    grpc: SocketAddr,
    /// Where the sandbox listens, on loopback
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    sandbox: SocketAddr,
    /// Where the service answers probes, on loopback
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    metrics: SocketAddr,
    /// Where the service answers Instagram's calls back, on loopback
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    callbacks: SocketAddr,
    /// Keep the accounts in PostgreSQL: the one of `TEST_DATABASE_URL`, else a throwaway one
    #[arg(long)]
    postgres: bool,
    /// Start what was built last
    #[arg(long)]
    no_build: bool,
}

/// Builds, starts, links, prints, and serves until a stop is asked.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    check_free(&[
        ("--grpc", arguments.grpc),
        ("--sandbox", arguments.sandbox),
        ("--metrics", arguments.metrics),
        ("--callbacks", arguments.callbacks),
    ])?;
    let grpcurl = Tools::of(workspace).grpcurl_to_type()?;
    let postgres = if arguments.postgres { Some(Postgres::obtain()?) } else { None };
    if !arguments.no_build {
        build(workspace)?;
    }

    let settings = Settings {
        grpc: arguments.grpc,
        sandbox: arguments.sandbox,
        metrics: arguments.metrics,
        callbacks: Some(arguments.callbacks),
        store: postgres
            .as_ref()
            .map_or(Store::Sqlite, |postgres| Store::Postgres(postgres.url().to_owned())),
        programs: workspace.target().join("debug"),
        callers: None,
        folder: workspace.target().join("up").join(arguments.grpc.port().to_string()),
        variables: Vec::new(),
    };
    settings.empty_folder()?;
    let mut stack = Stack::start(&settings)?;

    let step = Step::begin("linking a demo account");
    let client = Client::new(grpcurl, arguments.grpc);
    let linked = Demo::link(&client, &settings.sandbox_url())
        .and_then(|demo| Ok((demo, demo::invite(&client)?)));
    // A dead process explains more than the call that it failed.
    stack.check()?;
    let (demo, consent_url) = linked.context("cannot link the demo account")?;
    step.done();

    let callbacks = arguments.callbacks;
    console::say(Guide { client: &client, demo, consent_url, callbacks, settings: &settings });
    stack.serve()
}

/// Refuses an address that others could reach, and names all that cannot be listened on, by their flags.
fn check_free(addresses: &[(&str, SocketAddr)]) -> Result<()> {
    let (mut listeners, mut taken) = (Vec::new(), Vec::new());
    for (flag, address) in addresses {
        let loopback = address.ip().is_loopback();
        ensure!(
            loopback,
            "{flag} {address}: a demo that asks nobody who they are stays on loopback"
        );
        match TcpListener::bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) => taken.push(format!("\n  {flag} {address}: {error}")),
        }
    }
    let remedy = "stop what listens there, or choose others by these flags";
    ensure!(taken.is_empty(), "some addresses cannot be had: {remedy}{}", taken.concat());
    Ok(())
}

/// Builds what ships: `--workspace`, since a package alone would resolve other features.
fn build(workspace: &Workspace) -> Result<()> {
    console::note("building the workspace ...");
    process::run(&mut workspace.cargo(&["build", "--workspace"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_taken_ports_are_named_with_their_flags() {
        let listeners = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [grpc, metrics] = listeners.each_ref().map(|taken| taken.local_addr().unwrap());
        let addresses = [
            ("--grpc", grpc),
            ("--sandbox", "127.0.0.1:0".parse().unwrap()),
            ("--metrics", metrics),
        ];
        let error = check_free(&addresses).unwrap_err().to_string();
        for expected in [format!("\n  --grpc {grpc}: "), format!("\n  --metrics {metrics}: ")] {
            assert!(error.contains(&expected), "{error}");
        }
        assert!(!error.contains("--sandbox"), "{error}");
    }

    #[test]
    fn an_address_that_others_reach_is_refused() {
        let addresses = [("--sandbox", "0.0.0.0:0".parse().unwrap())];
        let error = check_free(&addresses).unwrap_err().to_string();
        assert!(error.contains("stays on loopback"), "{error}");
    }
}
