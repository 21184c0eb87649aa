//! `cargo xtask bench`: what a `Get` costs on each store, beside a plain server that answers from memory.

mod claims;
mod listing;
mod load;
mod resources;
mod sweep;
mod tokens;
mod watch;
mod webhooks;

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use self::load::{Load, Sample};
use self::resources::Resources;
use crate::console::{self, Step};
use crate::grpc::Client;
use crate::postgres::Postgres;
use crate::process::{self, Group, free_address};
use crate::tools::Tools;
use crate::up::demo::{self, Demo};
use crate::up::stack::{Settings, Stack, Store};
use crate::workspace::Workspace;

/// The profile that is measured: what ships, with the names that a profiler shows.
const PROFILE: &str = "profiling";

/// Maximum time until a server serves.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What `cargo xtask bench` takes.
#[derive(clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a measurement to choose on the command line"
)]
pub(crate) struct Arguments {
    /// How many calls a measurement makes
    #[arg(long, value_name = "NUMBER", default_value_t = 50_000)]
    calls: u32,
    /// How often everything is measured; the median is shown
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Measure what one caller's listings cost another one's `Get`, among many accounts, instead
    #[arg(long)]
    list: bool,
    /// Measure what a claim of due accounts costs among few and among many accounts, instead
    #[arg(long, conflicts_with = "list")]
    claims: bool,
    /// Measure the keeper while 20,000 accounts are due at once, and another caller's `Get` meanwhile, instead
    #[arg(long, conflicts_with_all = ["list", "claims"])]
    sweep: bool,
    /// Measure what 100 streams cost those who write, and how soon they are told, instead
    #[arg(long, conflicts_with_all = ["list", "claims", "sweep"])]
    watch: bool,
    /// Measure the intake of webhooks: single updates by many at once, and batches beside a loop that only inserts, instead
    #[arg(long, conflicts_with_all = ["list", "claims", "sweep", "watch"])]
    webhooks: bool,
    /// Measure how many tokens are handed out, by one caller that waits for each and by many at once, instead
    #[arg(long, conflicts_with_all = ["list", "claims", "sweep", "watch", "webhooks"])]
    tokens: bool,
    /// How many accounts `--list` and `--claims` are measured among
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10_000..))]
    accounts: u32,
}

/// Builds, starts all servers, measures them in turn, and prints a table.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let tools = Tools::of(workspace);
    let (h2load, grpcurl) = (Tools::h2load()?, tools.grpcurl()?);
    let postgres = Postgres::throwaway()?;
    console::note("building what ships, which takes a while ...");
    let profile = ["build", "--profile", PROFILE, "--workspace", "--bins", "--examples"];
    process::run(&mut workspace.cargo(&profile))?;
    if arguments.claims {
        return claims::run(workspace, postgres.url(), arguments.accounts);
    }
    let on_server = Store::Postgres(postgres.url().to_owned());
    if arguments.sweep {
        sweep::run(workspace, &h2load, "SQLite", Store::Sqlite)?;
        return sweep::run(workspace, &h2load, "PostgreSQL", on_server);
    }
    if arguments.watch {
        watch::run(workspace, "SQLite", Store::Sqlite, arguments.rounds)?;
        return watch::run(workspace, "PostgreSQL", on_server, arguments.rounds);
    }
    if arguments.webhooks {
        let wrk = Tools::wrk()?;
        webhooks::run(workspace, &wrk, "SQLite", Store::Sqlite, arguments.rounds)?;
        return webhooks::run(workspace, &wrk, "PostgreSQL", on_server, arguments.rounds);
    }
    if arguments.tokens {
        tokens::run(workspace, [&h2load, &grpcurl], "SQLite", Store::Sqlite, arguments.rounds)?;
        return tokens::run(
            workspace,
            [&h2load, &grpcurl],
            "PostgreSQL",
            on_server,
            arguments.rounds,
        );
    }
    if arguments.list {
        let tools = (h2load.as_path(), grpcurl.as_path());
        listing::run(workspace, tools, "SQLite", Store::Sqlite, arguments.accounts)?;
        return listing::run(workspace, tools, "PostgreSQL", on_server, arguments.accounts);
    }

    let sqlite = Measured::start(workspace, &grpcurl, "SQLite", Store::Sqlite)?;
    let postgres = Measured::start(workspace, &grpcurl, "PostgreSQL", on_server)?;
    let memory = Bare::start(workspace, [&postgres, &sqlite])?;
    let servers = [memory.target(&sqlite.request), sqlite.target(), postgres.target()];
    for load in Load::ALL {
        let measured = measure(&h2load, load, arguments, &servers)?;
        console::say(format_args!(
            "\n{load}, {} calls, median of {}",
            arguments.calls, arguments.rounds
        ));
        console::say(table(&servers, &measured));
    }
    console::say("\nserver        start-up   memory (RSS) after the load");
    for server in [&sqlite, &postgres] {
        let (start_up, memory) = (server.start_up()?, Resources::of(server.target().process)?);
        let milliseconds = start_up.as_secs_f64() * 1e3;
        console::say(format_args!(
            "{:<11} {milliseconds:>7.0} ms   {:>5.1} MiB",
            server.name, memory.rss_mib
        ));
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

/// Each server's median at one load. They take turns, so that a slow minute of the machine hits all.
fn measure(
    h2load: &Path,
    load: Load,
    arguments: &Arguments,
    servers: &[Target],
) -> Result<Vec<Sample>> {
    let step = Step::begin(load.to_string());
    let mut samples: Vec<Vec<Sample>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..arguments.rounds {
        for (server, samples) in servers.iter().zip(&mut samples) {
            samples.push(load.run(h2load, server, arguments.calls)?);
        }
    }
    step.done();
    samples.into_iter().map(Sample::median).collect()
}

fn table(servers: &[Target], measured: &[Sample]) -> String {
    let mut lines =
        vec!["server        calls/s  of memory   p50       p99    CPU per call".to_owned()];
    let floor = measured.first().map_or(f64::NAN, |sample| sample.per_second);
    lines.extend(servers.iter().zip(measured).map(|(server, sample)| {
        let Sample { per_second, p50, p99, cpu } = sample;
        let ratio = per_second / floor;
        format!(
            "{:<11} {per_second:>9.0} {ratio:>10.2} {p50:>6.0} us {p99:>6.0} us {cpu:>9.0} us",
            server.name
        )
    }));
    lines.join("\n")
}

/// The service on one store, with an account to get.
struct Measured {
    name: &'static str,
    settings: Settings,
    account_id: String,
    request: PathBuf,
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
        let request = settings.folder.join("get.request");
        Ok(Self { name, settings, account_id, request, stack })
    }

    fn target(&self) -> Target<'_> {
        let url = format!("http://{}", self.settings.grpc);
        Target {
            name: self.name,
            url,
            method: "Get",
            request: &self.request,
            process: self.stack.service_process(),
        }
    }

    /// From the start of one more process on the same store until it is ready.
    fn start_up(&self) -> Result<Duration> {
        let settings =
            Settings { grpc: free_address()?, metrics: free_address()?, ..self.settings.clone() };
        let ready = settings.readyz();
        let started = Instant::now();
        let mut command = settings.service("serve");
        let mut group = Group::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
        while demo::get(&ready).is_err() {
            ensure!(group.ended()?.is_none(), "a second service on {} ended", self.name);
            ensure!(started.elapsed() < START_TIMEOUT, "{} never became ready", self.name);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(started.elapsed())
    }
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

/// The floor: a server that only answers from memory.
struct Bare {
    address: SocketAddr,
    group: Group,
}

impl Bare {
    /// Starts it with what `services` answer; it goes on to answer as the last of them.
    fn start(workspace: &Workspace, services: [&Measured; 2]) -> Result<Self> {
        let address = free_address()?;
        let program = workspace.target().join(PROFILE).join("examples").join("bare_server");
        let mut command = Command::new(program);
        command.arg(address.to_string());
        for service in services {
            command.arg(service.target().url).arg(&service.account_id).arg(&service.request);
        }
        let mut group = Group::start(&mut command)?;
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(group.ended()?.is_none(), "the server that answers from memory ended");
            ensure!(
                started.elapsed() < START_TIMEOUT,
                "the server that answers from memory does not listen"
            );
            process::pause();
        }
        Ok(Self { address, group })
    }

    fn target<'a>(&self, request: &'a Path) -> Target<'a> {
        let url = format!("http://{}", self.address);
        Target { name: "memory", url, method: "Get", request, process: self.group.id() }
    }
}
