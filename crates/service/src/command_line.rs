//! The command line: the commands, each with the settings that it reads.

use clap::{Parser, Subcommand};

use crate::audit::AuditArgs;
use crate::caller::CallerCommand;
use crate::config::{
    AfterRestoreConfig, AuditConfig, CallerConfig, ConsumersConfig, Flags, HealthcheckConfig,
    ImportConfig, MigrateConfig, ServeConfig, StatusConfig,
};
use crate::consumers::ConsumersArgs;
use crate::import::ImportArgs;
use crate::status::StatusArgs;
use crate::token_keys::KeysCommand;

/// Maximum width of the help, in columns.
const MAX_HELP_WIDTH: usize = 100;

/// Links Instagram professional accounts and serves them over gRPC.
///
/// Every setting is an environment variable or the flag of the same name; the flag wins. A secret may also come from a
/// file, which `NAME_FILE` names. `instagram-accounts COMMAND --help` shows the settings of a command.
#[derive(Parser)]
#[command(name = "instagram-accounts", version, max_term_width = MAX_HELP_WIDTH)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serves gRPC until SIGTERM or SIGINT
    #[command(after_help = "Exit codes:
  0  it was stopped, and left no work behind
  1  it cannot start or go on, or a stop had to give work up
  2  a flag or a setting cannot be used")]
    Serve(Flags<ServeConfig>),
    /// Brings the database up to date; safe when several start at once
    #[command(after_help = "Exit codes:
  0  the database is up to date
  1  it is not, or cannot be asked
  2  a flag or a setting cannot be used")]
    Migrate {
        /// Only say what is missing: exits with 1 when something is
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        flags: Flags<MigrateConfig>,
    },
    /// Adds, shows and removes services that may call
    Caller {
        #[command(subcommand)]
        command: CallerCommand,
        #[command(flatten)]
        flags: Flags<CallerConfig>,
    },
    /// Says who was handed which token, when, and what for, newest first
    ///
    /// Reads the database itself. Where an app id is set, only the entries of that app are shown.
    #[command(after_help = "Exit codes:
  0  all that was asked for is shown
  1  the database cannot be asked
  2  a flag or a setting cannot be used")]
    Audit {
        #[command(flatten)]
        args: AuditArgs,
        #[command(flatten)]
        flags: Flags<AuditConfig>,
    },
    /// Says how all accounts are: what is wrong, when the first token dies, and the worst accounts
    ///
    /// Reads the database itself, and changes nothing there; no service needs to run.
    #[command(after_help = "Exit codes:
  0  all is shown, also what is wrong
  1  the database, or the sandbox's clock, cannot be asked
  2  a flag or a setting cannot be used")]
    Status {
        #[command(flatten)]
        args: StatusArgs,
        #[command(flatten)]
        flags: Flags<StatusConfig>,
    },
    /// Says how far the named consumers of events have got, or forgets one
    ///
    /// Reads the database itself; no service needs to run.
    #[command(after_help = "Exit codes:
  0  all is shown, or the consumer is forgotten
  1  there is no such consumer, or the database cannot be asked
  2  a flag or a setting cannot be used")]
    Consumers {
        #[command(flatten)]
        args: ConsumersArgs,
        #[command(flatten)]
        flags: Flags<ConsumersConfig>,
    },
    /// Adopts the long-lived tokens of a file, beside running replicas, as the RPC `Import` does
    ///
    /// Works on the database itself. Asks Instagram about at most `KEEPER_IN_FLIGHT` lines at a time, and waits where it
    /// throttles the app. Run again with the same --out it goes on where it was.
    #[command(after_help = "Exit codes:
  0  every line is imported
  1  a line is bad, or the import was stopped or cannot go on: run it again
  2  a flag or a setting cannot be used")]
    Import {
        #[command(flatten)]
        args: ImportArgs,
        #[command(flatten)]
        flags: Flags<ImportConfig>,
    },
    /// Makes sealing keys, says what is sealed under which, and seals anew what is under a former one
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Makes a restored database, or one that lost its last commits, fit to serve: run it once, while nothing serves
    ///
    /// Begins a new log of events, so that whoever follows them is told to begin anew instead of missing some, and makes
    /// every account due, so that what Instagram says now is stored. May be run again.
    #[command(after_help = "Exit codes:
  0  it is done
  1  it is not, or not whole: run it again
  2  a flag or a setting cannot be used")]
    AfterRestore(Flags<AfterRestoreConfig>),
    /// Checks settings, files, keys, clock, database, Instagram and the address of webhooks, and says what to do; changes nothing
    ///
    /// A line for each finding begins with the setting, or with `clock`. An error keeps `serve` from starting or serving,
    /// or links, renewals or webhooks from working; a warning does not.
    #[command(after_help = "Exit codes:
  0  nothing is wrong, or there are warnings only
  1  `serve` would not start or not serve, or links, renewals or webhooks would fail
  2  a flag cannot be used")]
    Doctor {
        /// Asks nobody: neither the database, nor Instagram, the sandbox or the address of webhooks
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        flags: Flags<ServeConfig>,
    },
    /// Asks the running server whether it is healthy, for two seconds at most
    #[command(after_help = "Exit codes:
  0  it is healthy
  1  it is not, or does not answer
  2  a flag or a setting cannot be used")]
    Healthcheck(Flags<HealthcheckConfig>),
}
