//! `cargo xtask bench`: measurements of the service as it ships.

mod awake;
mod beside;
mod claims;
mod get;
mod links;
mod listing;
mod load;
mod resources;
mod sweep;
mod tokens;
mod watch;
mod webhooks;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::console::{self, Step};
use crate::grpc::Client;
use crate::postgres::Postgres;
use crate::process::{self, free_address};
use crate::tools::Tools;
use crate::up::demo::{self, Demo};
use crate::up::stack::{APP_ID, Settings, Stack, Store};
use crate::workspace::Workspace;

/// The profile that is measured: what ships, with the names that a profiler shows.
const PROFILE: &str = "profiling";

/// Maximum time until a server serves.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What `cargo xtask bench` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many calls a measurement makes
    #[arg(long, value_name = "NUMBER", default_value_t = 50_000)]
    calls: u32,
    /// How often everything is measured; the median is shown
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Keep the processors from sleeping while a `Get` is measured; needs root
    #[arg(long)]
    awake: bool,
    #[command(flatten)]
    instead: Instead,
    /// How many accounts `--list` and `--claims` are measured among
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10_000..))]
    accounts: u32,
}

/// What is measured instead of a `Get`: one of these at most.
#[derive(clap::Args)]
#[group(multiple = false)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a measurement to choose on the command line"
)]
struct Instead {
    /// Measure what one caller's listings cost another one's `Get`, among many accounts, instead
    #[arg(long)]
    list: bool,
    /// Measure what a claim of due accounts costs among few and among many accounts, instead
    #[arg(long)]
    claims: bool,
    /// Measure the keeper while 20,000 accounts are due at once, and another caller's `Get` meanwhile, instead
    #[arg(long)]
    sweep: bool,
    /// Measure what 100 streams cost those who write, and how soon they are told, instead
    #[arg(long)]
    watch: bool,
    /// Measure the intake of webhooks: single updates by many at once, and batches beside a loop that only inserts, instead
    #[arg(long)]
    webhooks: bool,
    /// Measure how many tokens are handed out, by one caller that waits for each and by many at once, instead
    #[arg(long)]
    tokens: bool,
    /// Measure how long a link takes beyond its two round trips to Instagram, one by one and many at once, instead
    #[arg(long)]
    links: bool,
    /// Measure another caller's `Get` beside an import, 100 streams and a burst of webhooks, instead; best as root, so that
    /// the caller itself waits for no processor
    #[arg(long)]
    beside: bool,
    /// Count the instructions of a `Get` beside those of the bare servers, instead
    #[arg(long)]
    instructions: bool,
}

/// Builds, and measures what is asked for; what a `Get` costs where nothing else is.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let tools = Tools::of(workspace);
    let (h2load, grpcurl) = (Tools::h2load()?, tools.grpcurl()?);
    let instead = &arguments.instead;
    // It stands for a server on another machine, whose work costs a `Get` nothing. A sweep measures a rate,
    // too, so it leaves it all processors.
    let postgres = match instead {
        Instead { beside: true, .. } => process::start_apart(Postgres::throwaway),
        Instead { sweep: true, .. } => process::start_low(Postgres::throwaway),
        _ => Postgres::throwaway(),
    }?;
    console::note("building what ships, which takes a while ...");
    let profile = ["build", "--profile", PROFILE, "--workspace", "--bins", "--examples"];
    process::run(&mut workspace.cargo(&profile))?;
    if instead.claims {
        return claims::run(workspace, postgres.url(), arguments.accounts);
    }
    if instead.instructions {
        return get::instructions::run(workspace, &Tools::valgrind()?);
    }
    let programs = [h2load.as_path(), grpcurl.as_path()];
    let on_server = Store::Postgres(postgres.url().to_owned());
    for (name, store) in [("SQLite", Store::Sqlite), ("PostgreSQL", on_server)] {
        if instead.sweep {
            sweep::run(workspace, &h2load, name, store)?;
        } else if instead.watch {
            watch::run(workspace, name, store, arguments.rounds)?;
        } else if instead.webhooks {
            webhooks::run(workspace, &Tools::wrk()?, name, store, arguments.rounds)?;
        } else if instead.tokens {
            tokens::run(workspace, programs, name, store, arguments.rounds)?;
        } else if instead.links {
            links::run(workspace, programs, name, store, arguments.rounds)?;
        } else if instead.beside {
            beside::run(workspace, [&h2load, &Tools::wrk()?], name, store, arguments.rounds)?;
        } else if instead.list {
            listing::run(workspace, programs, name, store, arguments.accounts)?;
        } else {
            // Both stores in turn, beside bare servers.
            return get::run(workspace, &postgres, arguments);
        }
    }
    Ok(())
}

/// One server as the load generator sees it.
struct Target<'a> {
    name: &'static str,
    url: String,
    method: &'static str,
    /// The call as bytes, in a file.
    request: &'a Path,
    process: u32,
}

/// The service on one store, with an account to get.
struct Measured {
    name: &'static str,
    settings: Settings,
    account_id: String,
    stack: Stack,
}

impl Measured {
    fn start(
        workspace: &Workspace,
        grpcurl: &Path,
        name: &'static str,
        store: Store,
    ) -> Result<Self> {
        let settings = settings(workspace, name, store)?;
        let stack = Stack::start(&settings)?;
        let client = Client::new(grpcurl.to_owned(), settings.grpc);
        let demo = Demo::link(&client, &settings.sandbox_url())?;
        let account_id = demo.account.get("accountId").and_then(|id| id.as_str());
        let account_id = account_id.context("the account has no id")?.to_owned();
        Ok(Self { name, settings, account_id, stack })
    }

    /// The service, asked by the call in a file.
    fn target<'a>(&self, method: &'static str, request: &'a Path) -> Target<'a> {
        let url = self.settings.grpc_url();
        Target { name: self.name, url, method, request, process: self.stack.service_process() }
    }
}

/// Fills the store of `settings`, which is migrated, with so many accounts.
fn fill(settings: &Settings, name: &str, accounts: u32) -> Result<()> {
    let step = Step::begin(format!("filling {name} with {accounts} accounts"));
    let mut fill = Command::new(settings.programs.join("examples").join("fill_accounts"));
    fill.args([&settings.database_url(), APP_ID, &accounts.to_string()]);
    process::run(&mut fill)?;
    step.done();
    Ok(())
}

/// A new long-lived token of the sandbox's account with this username, as if it were that old.
fn token(sandbox: &str, username: &str, age: Duration) -> Result<String> {
    let wanted = json!({ "username": username, "age_seconds": age.as_secs() });
    let made = demo::post(&format!("{sandbox}/sandbox/tokens"), &wanted)?;
    let made: Value = serde_json::from_slice(made.as_bytes()).context("a token is no JSON")?;
    let token = made.get("access_token").and_then(Value::as_str);
    Ok(token.context("the sandbox made no token")?.to_owned())
}

/// Settings of a stack of what ships, at free addresses, whose service answers callers only. Its folder is new.
fn settings(workspace: &Workspace, folder: &str, store: Store) -> Result<Settings> {
    let settings = Settings {
        grpc: free_address()?,
        sandbox: free_address()?,
        metrics: free_address()?,
        callbacks: None,
        store,
        programs: workspace.target().join(PROFILE),
        callers: None,
        folder: workspace.target().join("bench").join(folder),
        variables: vec![("KEEPER", "false".to_owned())],
    };
    settings.empty_folder()?;
    Ok(settings)
}

/// Waits until a service says that it is ready.
fn wait_until_ready(url: &str) -> Result<()> {
    let started = Instant::now();
    while demo::get(url).is_err() {
        ensure!(started.elapsed() < START_TIMEOUT, "the service never became ready");
        process::pause();
    }
    Ok(())
}

/// Makes a caller and answers its token.
fn caller(settings: &Settings, name: &str, role: &str, owners: &[String]) -> Result<String> {
    let mut command = settings.service("caller");
    command.args(["add", name, "--role", role, "--write"]);
    command.args(owners.iter().flat_map(|owner| ["--owner", owner]));
    let output = command.stdin(Stdio::null()).output().context("cannot make a caller")?;
    let trouble = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cannot make a caller:\n{trouble}");
    let token = String::from_utf8(output.stdout).context("a token is text")?;
    Ok(token.trim_end().to_owned())
}
