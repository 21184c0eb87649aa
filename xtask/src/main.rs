//! `cargo xtask`: what a developer and CI run. One module per command.

mod alerts;
mod bench;
mod ci;
mod console;
mod containers;
mod db;
#[cfg(test)]
mod documents;
mod examples;
mod grpc;
mod layers;
mod postgres;
mod process;
mod proto;
mod simulate;
mod test;
mod tools;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Developer commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the sandbox and the service, link a demo account, and serve until Ctrl-C
    Up(up::Arguments),
    /// Get what the tests need, build everything, and run every test
    Test(test::Arguments),
    /// Check everything: the only definition of green
    Ci,
    /// Build both images and play the container stack, by Docker or Podman
    Containers(containers::Arguments),
    /// Serve a throwaway PostgreSQL until Ctrl-C
    Db(db::Arguments),
    /// Prove the direction of every dependency
    Layers,
    /// Take the proto files for landed, unless they break clients of those that landed last
    Proto,
    /// Write the table of alerts in the documentation anew, after a change of the rules
    Alerts,
    /// Measure what `Get` costs on each store, beside a server that answers from memory
    Bench(bench::Arguments),
    /// Play histories of several replicas that no test run plays, on all cores
    Simulate(simulate::Arguments),
    /// Make one call to the running service
    Grpc(grpc::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    process::listen_for_stop()?;
    let workspace = Workspace::find()?;
    match command {
        Command::Up(arguments) => up::run(&workspace, &arguments),
        Command::Test(arguments) => test::run(&workspace, &arguments),
        Command::Ci => ci::run(&workspace),
        Command::Containers(arguments) => containers::run(&workspace, &arguments),
        Command::Db(arguments) => db::run(&arguments),
        Command::Layers => layers::run(&workspace),
        Command::Proto => proto::land(&workspace),
        Command::Alerts => alerts::run(&workspace),
        Command::Bench(arguments) => bench::run(&workspace, &arguments),
        Command::Simulate(arguments) => simulate::run(&workspace, &arguments),
        Command::Grpc(arguments) => grpc::run(&workspace, &arguments),
    }
}
