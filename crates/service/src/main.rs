//! `instagram-accounts`: links Instagram professional accounts and serves them over gRPC.

mod after_restore;
mod audit;
mod callbacks;
mod caller;
mod callers;
mod columns;
mod command_line;
mod config;
mod consumers;
mod doctor;
mod expiries;
mod file_following;
mod healthcheck;
mod http;
mod import;
mod keys;
mod meters;
mod migrate;
mod missing_keys;
mod output;
mod precedence;
mod preparation;
mod probes;
mod progress;
mod serve;
mod status;
mod stop_signals;
mod surveying;
mod sweeping;
mod telemetry;
mod tls;
mod token_keys;
mod wiring;

use std::env;
use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Parser as _;
use ig_adapters::system::{RandomIds, SystemClock};
use ig_grpc_server::ConnectionRuntimes;
use tikv_jemallocator::Jemalloc;
use tokio::runtime::Runtime;
use tracing::warn;

use self::caller::Outputs;
use self::command_line::{Command, CommandLine};
use self::config::{
    AfterRestoreConfig, AuditConfig, CallerConfig, Config, ConsumersConfig, Flags,
    HealthcheckConfig, ImportConfig, InvalidSettings, MigrateConfig, NoConfig, Settings,
    StatusConfig, TokenKeysConfig, Variables,
};
use self::telemetry::LogWriter;
use self::token_keys::KeysCommand;

/// Takes less processor time than the system's where small texts come and go on several threads: an eighth, measured at the
/// intake of webhooks.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Exit code of a process when a setting cannot be used, as for a wrong flag.
const WRONG_SETTINGS: u8 = 2;

fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    let log = LogWriter::start(io::stderr());
    let _flush = log.flush_on_drop();
    run(command, &log).unwrap_or_else(|error| {
        let invalid = error.downcast_ref::<InvalidSettings>();
        for warning in invalid.into_iter().flat_map(InvalidSettings::warnings) {
            print(&log, "warning", &warning.to_string());
        }
        print(&log, "error", &format!("{error:#}"));
        if invalid.is_some() { WRONG_SETTINGS.into() } else { ExitCode::FAILURE }
    })
}

fn print(log: &LogWriter, kind: &str, text: &str) {
    for line in text.lines() {
        log.write_line(&format!("{kind}: {line}"));
    }
}

fn run(command: Command, log: &LogWriter) -> anyhow::Result<ExitCode> {
    // Every TLS and HTTP client panics without one.
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().map_err(|_| anyhow!("there is a crypto provider already"))?;
    match command {
        Command::Serve(flags) => {
            let start_connections = || {
                let connections = ConnectionRuntimes::start()
                    .context("the threads of connections cannot be started")?;
                precedence::yield_precedence();
                Ok(connections)
            };
            execute_after(start_connections, &flags, log, async |config, connections| {
                serve::run(config, connections, log.lost()).await
            })
        }
        Command::Migrate { check, flags } => execute(&flags, log, async |config: MigrateConfig| {
            migrate::run(&config.database, check, &mut io::stdout()).await
        }),
        Command::Caller { command, flags } => execute(&flags, log, async |config: CallerConfig| {
            let mut outputs = Outputs { out: &mut io::stdout(), err: &mut io::stderr() };
            caller::run(command, config.file, &mut outputs).map(|()| ExitCode::SUCCESS)
        }),
        Command::Audit { args, flags } => execute(&flags, log, async |config: AuditConfig| {
            audit::run(&config, args, &mut io::stdout()).await
        }),
        Command::Status { args, flags } => execute(&flags, log, async |config: StatusConfig| {
            status::run(config, args, &mut io::stdout()).await
        }),
        Command::Consumers { args, flags } => {
            execute(&flags, log, async |config: ConsumersConfig| {
                consumers::run(config, args, &mut io::stdout()).await
            })
        }
        Command::Import { args, flags } => execute(&flags, log, async |config: ImportConfig| {
            let mut outputs = Outputs { out: &mut io::stdout(), err: &mut io::stderr() };
            import::run(config, args, &mut outputs).await
        }),
        Command::Keys { command: KeysCommand::Generate(flags) } => {
            execute(&flags, log, async |_: NoConfig| {
                let mut outputs = Outputs { out: &mut io::stdout(), err: &mut io::stderr() };
                token_keys::generate(&SystemClock, &RandomIds, &mut outputs)
            })
        }
        Command::Keys { command: KeysCommand::Status(flags) } => {
            execute(&flags, log, async |config: TokenKeysConfig| {
                token_keys::status(config, &mut io::stdout()).await
            })
        }
        Command::Keys { command: KeysCommand::Rotate(flags) } => {
            execute(&flags, log, async |config: TokenKeysConfig| {
                let mut outputs = Outputs { out: &mut io::stdout(), err: &mut io::stderr() };
                token_keys::rotate(config, &mut outputs).await
            })
        }
        Command::AfterRestore(flags) => execute(&flags, log, async |config: AfterRestoreConfig| {
            after_restore::run(config, &mut io::stdout()).await
        }),
        Command::Doctor { offline, flags } => {
            let variables: Variables = env::vars_os().collect();
            let runtime = Runtime::new()?;
            runtime.block_on(doctor::run(&flags, &variables, offline, &mut io::stdout()))
        }
        Command::Healthcheck(flags) => execute(&flags, log, async |config: HealthcheckConfig| {
            healthcheck::run(config.listen, config.tls).await.map(|()| ExitCode::SUCCESS)
        }),
    }
}

/// Reads the settings of a command, and runs it with them.
fn execute<C: Config>(
    flags: &Flags<C>,
    log_writer: &LogWriter,
    command: impl AsyncFnOnce(C) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    execute_after(|| Ok(()), flags, log_writer, async |config, ()| command(config).await)
}

/// Reads the settings of a command, starts what must be there before its runtime, and runs it with both.
fn execute_after<C: Config, S>(
    start: impl FnOnce() -> anyhow::Result<S>,
    flags: &Flags<C>,
    log_writer: &LogWriter,
    command: impl AsyncFnOnce(C, S) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let variables: Variables = env::vars_os().collect();
    let Settings { log, config, warnings } = flags.read(&variables)?;
    telemetry::start(log, log_writer.clone());
    for warning in warnings {
        warn!("{warning}");
    }
    let started = start()?;
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(command(config, started));
    // Work that a stop had to leave behind must not hold the process.
    runtime.shutdown_background();
    ended.map_err(|error| flags.located(error, &variables))
}
