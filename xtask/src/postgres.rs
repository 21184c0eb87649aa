//! The PostgreSQL that tests use: the one that is given, or a throwaway server of our own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

use crate::console::Step;
use crate::process;
use crate::tools::PostgresPrograms;

/// The variable by which tests are told their server.
pub(crate) const VARIABLE: &str = "TEST_DATABASE_URL";

/// How long the server may take until it answers, and until it has stopped.
const LIMIT: Duration = Duration::from_secs(15);

/// Whom PostgreSQL runs as where we are root, which it refuses: the first of these that there is.
const ORDINARY_USERS: [&str; 2] = ["postgres", "nobody"];

/// Serves until standard input closes, which it does however its owner ends, even by SIGKILL. SIGINT makes
/// PostgreSQL stop at once and in order.
const SUPERVISOR: &str =
    r#""$@" & server=$!; read -r _; kill -INT $server; wait $server; rm -rf "$0""#;

/// Nothing here has to survive a power cut; everything is only for this machine.
const SETTINGS: [&str; 5] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "fsync=off",
    "full_page_writes=off",
];

/// A server that tests may use.
pub(crate) struct Postgres {
    url: String,
    _server: Option<Server>,
}

impl Postgres {
    /// The one that `TEST_DATABASE_URL` names, else a throwaway one.
    pub(crate) fn obtain() -> Result<Self> {
        let Some(url) = std::env::var_os(VARIABLE).filter(|url| !url.is_empty()) else {
            return Self::throwaway();
        };
        let url = url.into_string().ok().with_context(|| format!("{VARIABLE} is not UTF-8"))?;
        Ok(Self { url, _server: None })
    }

    /// A new server, whose data goes with it.
    pub(crate) fn throwaway() -> Result<Self> {
        let programs = PostgresPrograms::obtain()?;
        let step = Step::begin("starting a throwaway PostgreSQL");
        let server = Server::start(&programs)?;
        step.done();
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
        Ok(Self { url, _server: Some(server) })
    }

    /// How to reach it. May hold a password.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// A running server. Dropping it stops it and removes its data.
struct Server {
    supervisor: Child,
    port: u16,
    folder: TempDir,
}

impl Server {
    fn start(programs: &PostgresPrograms) -> Result<Self> {
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
        supervise.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        supervise.stdin(Stdio::piped()).process_group(0);
        supervise.stdout(log.try_clone().context("cannot share a log file")?).stderr(log);
        let supervisor = supervise.spawn().context("cannot start PostgreSQL")?;
        let server = Self { supervisor, port, folder };
        server.wait_until_ready(programs)?;
        Ok(server)
    }

    fn wait_until_ready(&self, programs: &PostgresPrograms) -> Result<()> {
        let mut check = Command::new(programs.pg_isready());
        check.args(["--quiet", "--host=127.0.0.1", &format!("--port={}", self.port)]);
        let deadline = Instant::now() + LIMIT;
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
        while matches!(self.supervisor.try_wait(), Ok(None)) && started.elapsed() < LIMIT {
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

/// Whom to run as; `None` where we are no root.
fn ordinary_user() -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let known = ORDINARY_USERS.into_iter().find_map(|name| User::from_name(name).ok().flatten());
    let user = known.context("PostgreSQL refuses root, and there is no user postgres or nobody")?;
    Ok(Some(user))
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr().context("no port is free")?.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_throwaway_server_answers_and_leaves_nothing_behind() {
        let server = Server::start(&PostgresPrograms::obtain().unwrap()).unwrap();
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
        let mut server = Server::start(&PostgresPrograms::obtain().unwrap()).unwrap();
        // All that SIGKILL leaves of an owner is that its end of the pipe closes.
        drop(server.supervisor.stdin.take());
        server.supervisor.wait().unwrap();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).is_err());
        assert!(!server.folder.path().exists());
    }
}
