//! PostgreSQL in a container, where there is an engine and no PostgreSQL.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Order, SETTINGS, free_port};
use crate::process;
use crate::tools::ContainerEngine;

/// The project's own image.
///
/// Source: <https://hub.docker.com/_/postgres>.
const IMAGE: &str = "docker.io/library/postgres:17";

/// Maximum time until the server answers, once its image is there.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Removes the container once standard input closes, which it does however its owner ends, even by SIGKILL.
const SUPERVISOR: &str = r#"read -r _; "$0" rm --force --volumes "$1" >/dev/null 2>&1"#;

/// A running container. Dropping it removes it and its data.
pub(super) struct Container {
    engine: ContainerEngine,
    name: String,
    port: u16,
    supervisor: Child,
}

impl Container {
    pub(super) fn start(engine: ContainerEngine) -> Result<Self> {
        let port = free_port()?;
        let name = format!("instagram-accounts-{}-{port}", std::process::id());
        let mut supervise = Command::new("sh");
        supervise.args(["-c", SUPERVISOR]).arg(engine.program()).arg(&name);
        supervise.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        let supervisor = supervise.spawn().context("cannot watch over a container")?;
        let container = Self { engine, name, port, supervisor };
        process::run(&mut container.run())?;
        container.wait_until_ready()?;
        Ok(container)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn obey(&mut self, order: Order) -> Result<()> {
        let order = match order {
            Order::Stop => "stop",
            Order::Start => "start",
            Order::Pause => "pause",
            Order::Resume => "unpause",
        };
        process::run(self.command(order).arg(&self.name).stdout(Stdio::null()))
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.engine.program());
        command.arg(name);
        command
    }

    fn run(&self) -> Command {
        let mut run = self.command("run");
        run.args(["--detach", "--name", &self.name]);
        run.args(["--publish", &format!("127.0.0.1:{}:5432", self.port)]);
        run.args(["--env", "POSTGRES_HOST_AUTH_METHOD=trust", IMAGE]);
        run.args(SETTINGS.iter().flat_map(|setting| ["-c", setting])).stdout(Stdio::null());
        run
    }

    fn wait_until_ready(&self) -> Result<()> {
        let mut check = self.command("exec");
        // While the image makes its database, it serves by a socket only.
        check.args([&self.name, "pg_isready", "--quiet", "--host=127.0.0.1"]);
        check.stdout(Stdio::null()).stderr(Stdio::null());
        let deadline = Instant::now() + START_TIMEOUT;
        while !check.status().context("cannot look into a container")?.success() {
            ensure!(!process::stop_asked(), "stopped while PostgreSQL started");
            ensure!(
                Instant::now() < deadline,
                "PostgreSQL does not serve: `{}` says why",
                process::command_line(self.command("logs").arg(&self.name))
            );
            process::pause();
        }
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Closing its standard input is what tells the supervisor to remove the container.
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// An engine that notes how it is called, and does nothing.
    const ENGINE: &str = "#!/bin/sh\necho \"$@\" >> \"$(dirname \"$0\")/calls\"\n";

    #[test]
    fn an_engine_is_told_to_run_obey_and_remove_and_to_publish_on_loopback_only() {
        let folder = tempfile::tempdir().unwrap();
        let engine = folder.path().join("docker");
        fs::write(&engine, ENGINE).unwrap();
        fs::set_permissions(&engine, fs::Permissions::from_mode(0o755)).unwrap();

        let mut container = Container::start(ContainerEngine::at(engine)).unwrap();
        let (name, port) = (container.name.clone(), container.port());
        for order in [Order::Stop, Order::Start, Order::Pause, Order::Resume] {
            container.obey(order).unwrap();
        }
        drop(container);

        let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
        let expected = format!(
            "run --detach --name {name} --publish 127.0.0.1:{port}:5432 \
             --env POSTGRES_HOST_AUTH_METHOD=trust docker.io/library/postgres:17 \
             -c max_connections=300 -c fsync=off -c full_page_writes=off\n\
             exec {name} pg_isready --quiet --host=127.0.0.1\n\
             stop {name}\nstart {name}\npause {name}\nunpause {name}\n\
             rm --force --volumes {name}\n"
        );
        assert_eq!(calls, expected);
    }
}
