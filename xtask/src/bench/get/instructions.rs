//! Instructions in user space that a `Get` takes, as valgrind's callgrind counts them.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::rows::Row;
use super::{Asked, OF_BARE, Server, Service, bare_command};
use crate::bench::load::Load;
use crate::console::{self, Step};
use crate::process::{Group, free_address, wait_until};
use crate::up::demo;
use crate::up::stack::{Settings, Store};
use crate::workspace::Workspace;

/// Numbers of calls of two runs. Their difference is counted, without all that does not come from calls.
const CALLS: [u32; 2] = [2_000, 22_000];

/// Time from the start of a run to its stop, in which all calls are made: what a server does by itself is the same in
/// both runs.
const RUN_TIME: Duration = Duration::from_secs(45);

/// Maximum time for a server to start, and to stop, at a fraction of its speed.
const TIMEOUT: Duration = Duration::from_secs(40);

/// What the service is asked: which account makes no difference to instructions.
const OF_SERVICE: [Asked; 2] =
    [Asked { key: "account_id", accounts: 1 }, Asked { key: "instagram_id", accounts: 1 }];

/// Counts the instructions of the bare servers and of the service on SQLite, and prints a table.
pub(crate) fn run(workspace: &Workspace, valgrind: &Path) -> Result<()> {
    let service = Service::start(workspace, "SQLite", Store::Sqlite, None)?;
    let mut all = vec![
        Counted::bare(workspace, valgrind, "default", "default bare", &service)?,
        Counted::bare(workspace, valgrind, "tuned", "tuned bare", &service)?,
    ];
    for asked in OF_SERVICE {
        all.push(Counted::service(workspace, valgrind, &service, asked)?);
    }
    let mut rows = Vec::new();
    for counted in &all {
        let (name, key) = (counted.server.name, counted.asked.key);
        let step = Step::begin(format!("counting instructions: {name}, {key}"));
        rows.push((name, key, counted.each()?));
        step.done();
    }
    console::say(table(&rows));
    Ok(())
}

/// All rows: a server, the key, and instructions of a call. The first two are the bare servers.
fn table(rows: &[(&str, &str, f64)]) -> String {
    let mut lines = vec![
        "\n| server | key | instructions a call | ÷ default | ÷ tuned |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    let bare = |index: usize| rows.get(index).map_or(f64::NAN, |(_, _, each)| *each);
    for (name, key, each) in rows {
        let (default, tuned) = (each / bare(0), each / bare(1));
        lines.push(format!("| {name} | {key} | {each:.0} | {default:.2} | {tuned:.2} |"));
    }
    lines.join("\n")
}

/// A server whose instructions are counted.
struct Counted<'a> {
    workspace: &'a Workspace,
    valgrind: &'a Path,
    folder: &'a Path,
    command: Command,
    server: Server,
    asked: Asked,
    /// URL at which it says whether it is ready; `None` where it is once it listens.
    readyz: Option<String>,
}

impl<'a> Counted<'a> {
    fn bare(
        workspace: &'a Workspace,
        valgrind: &'a Path,
        way: &str,
        name: &'static str,
        service: &'a Service,
    ) -> Result<Self> {
        let address = free_address()?;
        let [asked] = OF_BARE;
        Ok(Self {
            workspace,
            valgrind,
            folder: &service.settings.folder,
            command: bare_command(workspace, way, address, service, None),
            server: Server { name, address, ..service.server() },
            asked,
            readyz: None,
        })
    }

    /// One more process on the store of `service`.
    fn service(
        workspace: &'a Workspace,
        valgrind: &'a Path,
        service: &'a Service,
        asked: Asked,
    ) -> Result<Self> {
        let (grpc, metrics) = (free_address()?, free_address()?);
        let settings = Settings { grpc, metrics, ..service.settings.clone() };
        Ok(Self {
            workspace,
            valgrind,
            folder: &service.settings.folder,
            command: settings.service("serve"),
            server: Server { address: grpc, ..service.server() },
            asked,
            readyz: Some(settings.readyz()),
        })
    }

    /// Instructions of one call.
    fn each(&self) -> Result<f64> {
        let [few, many] = CALLS;
        let (of_few, of_many) = (self.run(few)?, self.run(many)?);
        Ok((of_many - of_few) / f64::from(many - few))
    }

    /// Instructions of a run with so many calls.
    fn run(&self, calls: u32) -> Result<f64> {
        let log = self.folder.join("callgrind.log");
        let mut command = self.command_in_valgrind();
        let log_file = File::create(&log).context("cannot make a log")?;
        let begin = Instant::now();
        let group = Group::start(command.stdout(Stdio::null()).stderr(log_file))?;
        wait_until("a server in valgrind serves", TIMEOUT, || Ok(self.serves()))?;
        let server = Server { process: group.id(), ..self.server.clone() };
        Row::new(server, self.asked).measure(self.workspace, Load::SIXTY_FOUR, calls)?;
        let rest = RUN_TIME.checked_sub(begin.elapsed());
        sleep(rest.with_context(|| format!("{calls} calls take longer than {RUN_TIME:?}"))?);
        group.stop(TIMEOUT)?;
        let told = fs::read_to_string(log).context("there is no log")?;
        collected(&told).with_context(|| format!("valgrind says no number:\n{told}"))
    }

    fn command_in_valgrind(&self) -> Command {
        let output = self.folder.join("callgrind.out");
        let mut command = Command::new(self.valgrind);
        command.arg("--tool=callgrind");
        command.arg(format!("--callgrind-out-file={}", output.display()));
        command.arg(self.command.get_program()).args(self.command.get_args());
        let variables = self.command.get_envs();
        command.env_clear().envs(variables.filter_map(|(name, value)| Some((name, value?))));
        command
    }

    fn serves(&self) -> bool {
        match &self.readyz {
            Some(url) => demo::get(url).is_ok(),
            None => TcpStream::connect(self.server.address).is_ok(),
        }
    }
}

/// The number of instructions that valgrind says it has counted.
fn collected(told: &str) -> Option<f64> {
    let number = told.lines().find_map(|line| line.split_once("Collected : "))?.1;
    number.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_instructions_is_read() {
        let told = "==7== Events    : Ir\n==7== Collected : 945047790\n==7== \n";
        assert_eq!(collected(told), Some(945_047_790.0));
        assert_eq!(collected("==7== Collected : \n"), None);
        assert_eq!(collected(""), None);
    }
}
