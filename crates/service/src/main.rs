//! `instagram-accounts`: links Instagram professional accounts and serves them over gRPC.

mod audit;
mod caller;
mod callers;
mod config;
mod healthcheck;
mod keys;
mod meters;
mod migrate;
mod preparation;
mod probes;
mod serve;
mod stop_signals;
mod telemetry;
mod tidying;
mod tls;
mod wiring;

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Parser, Subcommand};

use self::audit::AuditArgs;
use self::caller::{CallerCommand, Outputs};
use self::config::{AuditConfig, Flags, InvalidSettings, LogConfig, Reader, ServeConfig};

/// What a process exits with when a setting cannot be used, as for a wrong flag.
const WRONG_SETTINGS: u8 = 2;

/// Links Instagram professional accounts and serves them over gRPC.
///
/// Every setting is an environment variable or the flag of the same name; the flag wins.
#[derive(Parser)]
#[command(name = "instagram-accounts", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Serves gRPC until SIGTERM or SIGINT
    Serve,
    /// Brings the database up to date; safe when several start at once
    Migrate {
        /// Only say what is missing: exits with 1 when something is
        #[arg(long)]
        check: bool,
    },
    /// Adds services that may call
    #[command(subcommand)]
    Caller(CallerCommand),
    /// Says who was handed which token, when, and what for, newest first
    ///
    /// Reads the database itself. Where an app id is set, only the entries of that app are shown.
    Audit(AuditArgs),
    /// Exits with 0 when the running server is healthy and with 1 when not, within two seconds
    Healthcheck,
}

fn main() -> ExitCode {
    run(CommandLine::parse()).unwrap_or_else(|error| {
        for line in format!("{error:#}").lines() {
            // Where standard error is closed there is nobody to tell.
            let _ = writeln!(io::stderr(), "error: {line}");
        }
        if error.is::<InvalidSettings>() { WRONG_SETTINGS.into() } else { ExitCode::FAILURE }
    })
}

fn run(CommandLine { command, flags }: CommandLine) -> anyhow::Result<ExitCode> {
    // Every TLS and HTTP client panics without one.
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().map_err(|_| anyhow!("there is a crypto provider already"))?;
    let variable = |name: &str| env::var_os(name);
    let reader = || Reader::new(&flags, &variable);
    telemetry::start(LogConfig::read(reader())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = match command {
        Command::Serve => runtime.block_on(serve::run(ServeConfig::read(reader())?)),
        Command::Migrate { check } => {
            let database = config::read_database(reader())?;
            runtime.block_on(migrate::run(&database, check, &mut io::stdout()))
        }
        Command::Caller(command) => {
            let file = config::read_callers_file(reader())?;
            let mut outputs = Outputs { out: &mut io::stdout(), err: &mut io::stderr() };
            caller::run(command, file, &mut outputs).map(|()| ExitCode::SUCCESS)
        }
        Command::Audit(args) => {
            let config = AuditConfig::read(reader())?;
            runtime.block_on(audit::run(&config, args, &mut io::stdout()))
        }
        Command::Healthcheck => {
            let (listen, tls) = config::read_server(reader())?;
            let healthy = runtime.block_on(healthcheck::run(listen, tls));
            healthy.map(|()| ExitCode::SUCCESS)
        }
    };
    // What a stop had to leave behind must not hold the process.
    runtime.shutdown_background();
    ended
}
