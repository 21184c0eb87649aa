//! PostgreSQL's own programs at work: a server, and its supervisor.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

use super::{Order, SETTINGS, free_port};
use crate::process;
use crate::tools::PostgresPrograms;

/// Settings by which only this machine reaches the server.
const PLACE: [&str; 2] = ["listen_addresses=127.0.0.1", "unix_socket_directories="];

/// Maximum time until the server answers, and until it has stopped.
const START_OR_STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Users that PostgreSQL runs as where we are root, which it refuses: the first of these that there is.
const ORDINARY_USERS: [&str; 2] = ["postgres", "nobody"];

/// Serves until standard input closes, which it does however its owner ends, even by SIGKILL. Until then it takes
/// orders from there, and answers each with how it went. SIGINT makes PostgreSQL stop at once and in order.
const SUPERVISOR: &str = r#"
serve() { "$@" >&2 & server=$!; }
pause() { kill -STOP $server && kill -STOP $(pgrep -P $server); }
resume() { children=$(pgrep -P $server) && kill -CONT $children && kill -CONT $server; }
stop() { kill -INT $server; wait $server; }
serve "$@"
while read -r order; do
    case $order in start) serve "$@" ;; *) $order ;; esac
    echo $?
done
resume 2>/dev/null
stop 2>/dev/null
rm -rf "$0"
"#;

/// A running server. Dropping it stops it and removes its data.
pub(super) struct Server {
    supervisor: Child,
    answers: BufReader<ChildStdout>,
    port: u16,
    folder: TempDir,
}

impl Server {
    pub(super) fn start(programs: &PostgresPrograms) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("postgres-").tempdir();
        let folder = folder.context("cannot make a folder for PostgreSQL")?;
        let user = ordinary_user()?;
        if let Some(user) = &user {
            let (owner, group) = (user.uid.as_raw(), user.gid.as_raw());
            chown(folder.path(), Some(owner), Some(group)).context("cannot give a folder away")?;
        }
        let mut initialise = command(&programs.initdb(), folder.path(), user.as_ref());
        initialise.arg("--pgdata=data").args(["--username=postgres", "--auth=trust"]);
        initialise.args(["--encoding=UTF8", "--locale=C", "--no-sync"]).stdout(Stdio::null());
        process::run(&mut initialise)?;

        let port = free_port()?;
        let log = folder.path().join("log");
        let log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut supervise = command(Path::new("sh"), folder.path(), user.as_ref());
        supervise.args(["-c", SUPERVISOR]).arg(folder.path()).arg(programs.postgres());
        supervise.args(["-D", "data", "-p", &port.to_string()]);
        supervise.args(PLACE.iter().chain(&SETTINGS).flat_map(|setting| ["-c", setting]));
        supervise.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut supervisor = supervise.spawn().context("cannot start PostgreSQL")?;
        let answers = supervisor.stdout.take().context("PostgreSQL's supervisor has no voice")?;
        let server = Self { supervisor, answers: BufReader::new(answers), port, folder };
        server.wait_until_ready(programs)?;
        Ok(server)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The supervisor's process.
    pub(super) fn process(&self) -> u32 {
        self.supervisor.id()
    }

    /// Has the supervisor carry an order out.
    pub(super) fn obey(&mut self, order: Order) -> Result<()> {
        let orders = self.supervisor.stdin.as_mut().context("PostgreSQL's supervisor is gone")?;
        writeln!(orders, "{order}").context("PostgreSQL's supervisor is gone")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).context("PostgreSQL's supervisor is gone")?;
        ensure!(
            answer.trim_end() == "0",
            "PostgreSQL cannot be told to {order}; is there a pgrep?"
        );
        Ok(())
    }

    fn wait_until_ready(&self, programs: &PostgresPrograms) -> Result<()> {
        let mut check = Command::new(programs.pg_isready());
        check.args(["--quiet", "--host=127.0.0.1", &format!("--port={}", self.port)]);
        let deadline = Instant::now() + START_OR_STOP_TIMEOUT;
        while !check.status().context("cannot start pg_isready")?.success() {
            ensure!(!process::stop_asked(), "stopped while PostgreSQL started");
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                bail!("PostgreSQL does not serve:\n{}", log.trim_end());
            }
            process::pause();
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Closing its standard input is what tells it to stop.
        drop(self.supervisor.stdin.take());
        let started = Instant::now();
        while matches!(self.supervisor.try_wait(), Ok(None))
            && started.elapsed() < START_OR_STOP_TIMEOUT
        {
            process::pause();
        }
        if let Ok(id) = i32::try_from(self.supervisor.id()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.supervisor.wait();
    }
}

/// A command that runs in `folder` as `user`.
fn command(program: &Path, folder: &Path, user: Option<&User>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// User to run as; `None` where we are no root.
fn ordinary_user() -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let known = ORDINARY_USERS.into_iter().find_map(|name| User::from_name(name).ok().flatten());
    let user = known.context("PostgreSQL refuses root, and there is no user postgres or nobody")?;
    Ok(Some(user))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    fn programs() -> PostgresPrograms {
        PostgresPrograms::find().map_or_else(PostgresPrograms::install, Ok).unwrap()
    }

    #[test]
    fn a_server_stops_starts_pauses_and_resumes_when_told() {
        let mut server = Server::start(&programs()).unwrap();
        for (away, back) in [(Order::Stop, Order::Start), (Order::Pause, Order::Resume)] {
            server.obey(away).unwrap();
            let mut check = Command::new(programs().pg_isready());
            check.args(["--quiet", "--timeout=1", "--host=127.0.0.1"]);
            check.arg(format!("--port={}", server.port));
            assert!(!check.status().unwrap().success(), "{away}");
            server.obey(back).unwrap();
            server.wait_until_ready(&programs()).unwrap();
        }
        // One that stands still ends as well.
        server.obey(Order::Pause).unwrap();
        drop(server);
    }

    #[test]
    fn an_order_that_fails_is_said() {
        let mut server = Server::start(&programs()).unwrap();
        server.obey(Order::Stop).unwrap();
        let error = server.obey(Order::Pause).unwrap_err().to_string();
        assert!(error.starts_with("PostgreSQL cannot be told to pause"), "{error}");
    }

    #[test]
    fn a_throwaway_server_answers_and_leaves_nothing_behind() {
        let server = Server::start(&programs()).unwrap();
        let (address, folder) =
            ((Ipv4Addr::LOCALHOST, server.port), server.folder.path().to_owned());
        TcpStream::connect(address).unwrap();
        assert!(folder.exists());
        drop(server);
        assert!(TcpStream::connect(address).is_err());
        assert!(!folder.exists());
    }

    #[test]
    fn a_server_whose_owner_is_gone_stops_and_removes_its_data() {
        let mut server = Server::start(&programs()).unwrap();
        // All that SIGKILL leaves of an owner is that its end of the pipe closes.
        drop(server.supervisor.stdin.take());
        server.supervisor.wait().unwrap();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).is_err());
        assert!(!server.folder.path().exists());
    }
}
