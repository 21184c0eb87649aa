//! What a `Get` costs on each store, beside two bare servers that answer it from memory.

mod first;
pub(super) mod instructions;
mod rows;

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use self::rows::{Row, print};
use super::awake::Awake;
use super::load::{Load, median};
use super::resources::{self, Resources};
use super::{Arguments, PROFILE, START_TIMEOUT, caller, fill, settings};
use crate::console::{self, Step};
use crate::postgres::Postgres;
use crate::process::{self, Group, free_address};
use crate::up::demo;
use crate::up::stack::{Settings, Stack, Store};
use crate::workspace::Workspace;

/// Number of accounts in each store.
const ACCOUNTS: u32 = 20_000;

/// Loads that are measured.
const LOADS: [Load; 2] = [Load::ONE_BY_ONE, Load::SIXTY_FOUR];

/// Calls of one kind: the key that they ask by, and the number of accounts that they ask for in turn.
#[derive(Clone, Copy)]
struct Asked {
    key: &'static str,
    accounts: u32,
}

/// What a bare server is asked.
const OF_BARE: [Asked; 1] = [Asked { key: "constant", accounts: 1 }];

/// What the service is asked.
const OF_SERVICE: [Asked; 4] = [
    Asked { key: "account_id", accounts: 1 },
    Asked { key: "account_id", accounts: ACCOUNTS },
    Asked { key: "instagram_id", accounts: 1 },
    Asked { key: "instagram_id", accounts: ACCOUNTS },
];

/// What the service without accounts in memory is asked: each account costs a read.
const WITHOUT_CACHE: [Asked; 2] =
    [Asked { key: "account_id", accounts: 1_000 }, Asked { key: "instagram_id", accounts: 1_000 }];

/// Starts all servers, measures them in turn, and prints tables.
pub(super) fn run(workspace: &Workspace, postgres: &Postgres, arguments: &Arguments) -> Result<()> {
    let on_server = Store::Postgres(postgres.url().to_owned());
    let sqlite = Service::start(workspace, "SQLite", Store::Sqlite, None)?;
    let postgres = Service::start(workspace, "PostgreSQL", on_server, postgres.process())?;
    let bare = [
        Started::bare(workspace, "default", "default bare", &sqlite, None)?,
        Started::bare(workspace, "tuned", "tuned bare", &sqlite, None)?,
    ];
    let without_cache = [
        sqlite.without_cache("SQLite, READ_CACHE=0")?,
        postgres.without_cache("PostgreSQL, READ_CACHE=0")?,
    ];
    let pair = Pair::make(workspace)?;
    let by_tls = [
        Started::bare(workspace, "default", "default bare, TLS", &sqlite, Some(&pair))?,
        Started::bare(workspace, "tuned", "tuned bare, TLS", &sqlite, Some(&pair))?,
        sqlite.by_tls("SQLite, TLS", &pair)?,
        postgres.by_tls("PostgreSQL, TLS", &pair)?,
    ];
    let plain = bare.iter().map(|started| started.server.clone());
    let plain = plain.chain([sqlite.server(), postgres.server()]);
    let plain: Vec<_> = plain.chain(without_cache.iter().map(|one| one.server.clone())).collect();
    let by_tls: Vec<_> = by_tls.iter().map(|started| started.server.clone()).collect();
    let awake = if arguments.awake { Some(Awake::keep()?) } else { None };
    for load in LOADS {
        for servers in [&plain, &by_tls] {
            measure(workspace, servers, load, arguments)?;
        }
    }
    let of_bare = bare.each_ref().map(|started| started.server.clone());
    first::measure(workspace, &of_bare, [&sqlite, &postgres], arguments.rounds)?;
    drop(awake);
    say_memory(&[&sqlite, &postgres], arguments.rounds)
}

/// Measures all servers in turn, the bare ones first, and prints a table.
fn measure(
    workspace: &Workspace,
    servers: &[Server],
    load: Load,
    arguments: &Arguments,
) -> Result<()> {
    let step = Step::begin(load.to_string());
    let mut rows: Vec<Row> = servers.iter().flat_map(Row::of).collect();
    // One that waits for each answer takes several times as long.
    let calls = if load.connections == 1 { arguments.calls / 5 } else { arguments.calls };
    for _ in 0..arguments.rounds {
        // They take turns, so that a slow minute of the machine hits all.
        for row in &mut rows {
            row.measure(workspace, load, calls)?;
        }
    }
    step.done();
    print(load, calls, arguments.rounds, &rows);
    Ok(())
}

/// Prints how soon services start, the median of `rounds`, and what memory they take.
fn say_memory(services: &[&Service], rounds: u32) -> Result<()> {
    console::say("\n| store | start to ready | RSS idle | RSS after the load |");
    console::say("|---|---|---|---|");
    for service in services {
        let start_ups = (0..rounds).map(|_| Ok(service.start_up()?.as_secs_f64() * 1e3));
        let start_up = median(start_ups.collect::<Result<_>>()?).unwrap_or(f64::NAN);
        let (idle, loaded) = (service.idle_rss_mib, Resources::of(service.process())?.rss_mib);
        let name = service.name;
        console::say(format_args!(
            "| {name} | {start_up:.0} ms | {idle:.1} MiB | {loaded:.1} MiB |"
        ));
    }
    Ok(())
}

/// A server as the load sees it.
#[derive(Clone)]
struct Server {
    name: &'static str,
    address: SocketAddr,
    process: u32,
    /// Process that has started the database's.
    database: Option<u32>,
    token: String,
    /// Authority of its certificate, where it serves by TLS.
    authority: Option<PathBuf>,
    asked: &'static [Asked],
}

/// A certificate for servers by TLS, and what it takes to use it.
struct Pair {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn make(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.target().join("bench").join("certificate");
        std::fs::create_dir_all(&folder).context("cannot make a folder for a certificate")?;
        process::run(Command::new(example(workspace, "make_certificate")).arg(&folder))?;
        let [authority, certificate, key] =
            ["authority.crt", "server.crt", "server.key"].map(|name| folder.join(name));
        Ok(Self { authority, certificate, key })
    }
}

/// The service on one store that is full of accounts.
struct Service {
    name: &'static str,
    settings: Settings,
    token: String,
    database: Option<u32>,
    idle_rss_mib: f64,
    stack: Stack,
}

impl Service {
    fn start(
        workspace: &Workspace,
        name: &'static str,
        store: Store,
        database: Option<u32>,
    ) -> Result<Self> {
        let mut settings = settings(workspace, &format!("{name}-get"), store)?;
        settings.callers = Some(settings.folder.join("callers.toml"));
        let token = caller(&settings, "reader", "read", &["*".to_owned()])?;
        let stack = Stack::start(&settings)?;
        let idle_rss_mib = Resources::of(stack.service_process())?.rss_mib;
        fill(&settings, name, ACCOUNTS)?;
        Ok(Self { name, settings, token, database, idle_rss_mib, stack })
    }

    fn process(&self) -> u32 {
        self.stack.service_process()
    }

    fn server(&self) -> Server {
        Server {
            name: self.name,
            address: self.settings.grpc,
            process: self.process(),
            database: self.database,
            token: self.token.clone(),
            authority: None,
            asked: &OF_SERVICE,
        }
    }

    /// One more process on the same store, which keeps no accounts in memory.
    fn without_cache(&self, name: &'static str) -> Result<Started> {
        let mut started = self.another(name, [("READ_CACHE", "0".to_owned())])?;
        started.server.asked = &WITHOUT_CACHE;
        Ok(started)
    }

    /// One more process on the same store, which serves by TLS.
    fn by_tls(&self, name: &'static str, pair: &Pair) -> Result<Started> {
        let paths = [("GRPC_TLS_CERT", &pair.certificate), ("GRPC_TLS_KEY", &pair.key)];
        let mut started =
            self.another(name, paths.map(|(name, path)| (name, path.display().to_string())))?;
        started.server.authority = Some(pair.authority.clone());
        Ok(started)
    }

    fn another<const N: usize>(
        &self,
        name: &'static str,
        variables: [(&'static str, String); N],
    ) -> Result<Started> {
        let mut settings = self.settings.clone();
        settings.variables.extend(variables);
        (settings.grpc, settings.metrics) = (free_address()?, free_address()?);
        let group = self.start_another(&settings)?;
        let server = Server { name, address: settings.grpc, process: group.id(), ..self.server() };
        Ok(Started { server, _group: group })
    }

    /// From the start of one more process on the same store until it is ready.
    fn start_up(&self) -> Result<Duration> {
        let settings =
            Settings { grpc: free_address()?, metrics: free_address()?, ..self.settings.clone() };
        let started = Instant::now();
        let _ready = self.start_another(&settings)?;
        Ok(started.elapsed())
    }

    /// One more process on the same store, once it is ready.
    fn start_another(&self, settings: &Settings) -> Result<Group> {
        let ready = settings.readyz();
        let started = Instant::now();
        let mut command = settings.service("serve");
        let mut group = Group::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
        while demo::get(&ready).is_err() {
            ensure!(group.ended()?.is_none(), "a second service on {} ended", self.name);
            ensure!(started.elapsed() < START_TIMEOUT, "{} never became ready", self.name);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(group)
    }
}

/// A server that ends when this is dropped.
struct Started {
    server: Server,
    _group: Group,
}

impl Started {
    /// Starts a bare server that serves this way, and answers what `service` does.
    fn bare(
        workspace: &Workspace,
        way: &str,
        name: &'static str,
        service: &Service,
        pair: Option<&Pair>,
    ) -> Result<Self> {
        let address = free_address()?;
        let mut group = Group::start(&mut bare_command(workspace, way, address, service, pair))?;
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(group.ended()?.is_none(), "the {way} bare server ended");
            ensure!(started.elapsed() < START_TIMEOUT, "the {way} bare server does not listen");
            process::pause();
        }
        let server = Server {
            name,
            address,
            process: group.id(),
            database: None,
            token: service.token.clone(),
            authority: pair.map(|pair| pair.authority.clone()),
            asked: &OF_BARE,
        };
        Ok(Self { server, _group: group })
    }
}

/// A command of a bare server that serves this way, and answers what `service` does.
fn bare_command(
    workspace: &Workspace,
    way: &str,
    address: SocketAddr,
    service: &Service,
    pair: Option<&Pair>,
) -> Command {
    let mut command = Command::new(example(workspace, "bare_server"));
    command.args([way, &address.to_string(), &service.settings.grpc_url()]);
    command.arg(&service.token);
    command.args(pair.into_iter().flat_map(|pair| [&pair.certificate, &pair.key]));
    command
}

fn example(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target().join(PROFILE).join("examples").join(name)
}

impl Server {
    /// What the server has used so far, and the processor time of its database.
    fn used(&self) -> Result<(Resources, f64)> {
        let database = self.database.map_or(Ok(0.0), resources::cpu_seconds_of_all)?;
        Ok((Resources::of(self.process)?, database))
    }
}
