//! The sandbox and the service as child processes.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::demo;
use crate::console::{self, Step};
use crate::process::{self, Group};

/// Maximum time until a process serves.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Number of last lines that are shown of a dead process's log.
const LAST_LINES: usize = 20;

/// The app that sandbox and service agree on.
pub(crate) const APP_ID: &str = "990000000000017";
pub(crate) const APP_SECRET: &str = "5a4db0c0ffee5a4db0c0ffee5a4db0c0";

/// Variables of our own environment that the children see: none that would change their settings.
const KEPT: [&str; 7] =
    ["HOME", "PATH", "RUST_BACKTRACE", "RUST_LOG", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR"];

/// Seals the tokens of the sandbox's accounts.
pub(crate) const TOKEN_KEYS: &str = "demo:ZGVtby1rZXktb2YtdGhlLWxvY2FsLXN0YWNrLW9ubHk=";

/// Store of the service's accounts.
#[derive(Clone)]
pub(crate) enum Store {
    /// In a file beside the logs.
    Sqlite,
    /// On the server with this URL.
    Postgres(String),
}

/// Addresses, store and folders of the stack.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) grpc: SocketAddr,
    pub(crate) sandbox: SocketAddr,
    pub(crate) metrics: SocketAddr,
    /// Where the service answers calls back; it answers none where there is no address.
    pub(crate) callbacks: Option<SocketAddr>,
    pub(crate) store: Store,
    /// The folder of the programs: `debug` or another below `target`.
    pub(crate) programs: PathBuf,
    /// The file of who may call; everybody may where there is none.
    pub(crate) callers: Option<PathBuf>,
    /// Holds the logs, and in SQLite the database.
    pub(crate) folder: PathBuf,
    /// Further variables of the service.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Settings {
    /// URL of the service's RPCs.
    pub(crate) fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// URL of the sandbox.
    pub(crate) fn sandbox_url(&self) -> String {
        format!("http://{}", self.sandbox)
    }

    /// URL of the service's numbers.
    pub(crate) fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.metrics)
    }

    /// URL at which the service says whether it is ready.
    pub(crate) fn readyz(&self) -> String {
        format!("http://{}/readyz", self.metrics)
    }

    /// Makes the folder, or empties it: every start is a fresh one.
    pub(crate) fn empty_folder(&self) -> Result<()> {
        let folder = &self.folder;
        if folder.exists() {
            fs::remove_dir_all(folder)
                .with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
    }

    /// A command of the service with these settings.
    pub(crate) fn service(&self, name: &str) -> Command {
        let mut command = self.program("instagram-accounts", self.of_service());
        command.arg(name);
        command
    }

    fn program(&self, name: &str, variables: Vec<(&'static str, String)>) -> Command {
        let ours = std::env::vars_os();
        let kept = ours.filter(|(name, _)| name.to_str().is_some_and(|name| KEPT.contains(&name)));
        let mut command = Command::new(self.programs.join(name));
        command.env_clear().envs(kept).envs(variables);
        command
    }

    fn of_sandbox(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SANDBOX_LISTEN", self.sandbox.to_string()),
            ("SANDBOX_APP_ID", APP_ID.to_owned()),
            ("SANDBOX_APP_SECRET", APP_SECRET.to_owned()),
            // For the `Link` line that its redirect page shows.
            ("SANDBOX_LINK_OWNER", demo::OWNER.to_owned()),
            ("SANDBOX_GRPC_ADDRESS", self.grpc.to_string()),
        ]
    }

    fn of_service(&self) -> Vec<(&'static str, String)> {
        let sandbox = self.sandbox_url();
        let mut variables = self.of_store();
        variables.extend([
            ("INSTAGRAM_APP_ID", APP_ID.to_owned()),
            ("INSTAGRAM_APP_SECRET", APP_SECRET.to_owned()),
            ("INSTAGRAM_AUTHORIZE_URL", format!("{sandbox}/oauth/authorize")),
            ("INSTAGRAM_API_URL", sandbox.clone()),
            ("INSTAGRAM_GRAPH_URL", sandbox.clone()),
            ("SANDBOX_CLOCK_URL", format!("{sandbox}/sandbox/clock")),
            ("GRPC_LISTEN", self.grpc.to_string()),
            ("METRICS_LISTEN", self.metrics.to_string()),
            ("TOKEN_KEYS", TOKEN_KEYS.to_owned()),
            // The printed lines are to work hours later too.
            ("STATE_TTL", "30d".to_owned()),
            // Below the grace after which a child is killed.
            ("SHUTDOWN_TIMEOUT", "3s".to_owned()),
        ]);
        let callers = self.callers.iter().map(|file| ("CALLERS_FILE", file.display().to_string()));
        variables.extend(callers);
        variables.extend(self.callbacks.into_iter().flat_map(of_callbacks));
        variables.extend(self.variables.clone());
        variables
    }

    /// URL of the database with the accounts.
    pub(crate) fn database_url(&self) -> String {
        match &self.store {
            Store::Sqlite => {
                let file = self.folder.join("instagram-accounts.db");
                format!("sqlite://{}?mode=rwc", file.display())
            }
            Store::Postgres(url) => url.clone(),
        }
    }

    fn of_store(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![("DATABASE_URL", self.database_url())];
        if let Store::Postgres(_) = self.store {
            variables.push(("MIGRATE_ON_START", "true".to_owned()));
        }
        variables
    }
}

/// Variables of a service that answers calls back at this address.
fn of_callbacks(address: SocketAddr) -> [(&'static str, String); 4] {
    [
        ("HTTP_LISTEN", address.to_string()),
        ("PUBLIC_URL", format!("http://{address}")),
        ("WEBHOOK_FIELDS", "comments,messages".to_owned()),
        ("WEBHOOK_VERIFY_TOKEN", "demo".to_owned()),
    ]
}

/// Running sandbox. Dropping it stops it.
pub(crate) struct Sandbox(Part);

impl Sandbox {
    /// Starts it and waits until it serves.
    pub(crate) fn start(settings: &Settings) -> Result<Self> {
        let step = Step::begin(format!("starting the sandbox on {}", settings.sandbox));
        let mut command = settings.program("instagram-sandbox", settings.of_sandbox());
        let mut sandbox = Part::start("sandbox", &settings.folder, &mut command)?;
        let clock = format!("{}/sandbox/clock", settings.sandbox_url());
        sandbox.wait_until(|| demo::get(&clock).is_ok())?;
        step.done();
        Ok(Self(sandbox))
    }
}

/// Running stack. Dropping it stops the service first, then what the service calls.
pub(crate) struct Stack {
    service: Part,
    sandbox: Sandbox,
}

impl Stack {
    /// Starts both and waits until they serve.
    pub(crate) fn start(settings: &Settings) -> Result<Self> {
        Self::start_with(Sandbox::start(settings)?, settings)
    }

    /// Starts the service with a sandbox, and waits until it serves.
    pub(crate) fn start_with(sandbox: Sandbox, settings: &Settings) -> Result<Self> {
        let step = Step::begin(format!("starting the service on {}", settings.grpc));
        let mut check = settings.service("healthcheck");
        check.stdout(Stdio::null()).stderr(Stdio::null());
        let mut service = Part::start("service", &settings.folder, &mut settings.service("serve"))?;
        service.wait_until(|| check.status().is_ok_and(|status| status.success()))?;
        step.done();
        Ok(Self { service, sandbox })
    }

    /// Fails when a process has ended, with the last lines of its log.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.sandbox.0.check()?;
        self.service.check()
    }

    /// The service's process id.
    pub(crate) fn service_process(&self) -> u32 {
        self.service.group.id()
    }

    /// Waits until a stop is asked or a process ends.
    pub(crate) fn serve(mut self) -> Result<()> {
        while !process::stop_asked() {
            self.check()?;
            process::pause();
        }
        let step = Step::begin("stopping");
        drop(self);
        step.done();
        Ok(())
    }
}

/// One process and its log.
struct Part {
    name: &'static str,
    log: PathBuf,
    group: Group,
}

impl Part {
    fn start(name: &'static str, folder: &Path, command: &mut Command) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(file.try_clone().context("cannot share a log file")?).stderr(file);
        Ok(Self { name, log, group: Group::start(command)? })
    }

    fn check(&mut self) -> Result<()> {
        let Some(status) = self.group.ended()? else { return Ok(()) };
        bail!("the {} ended ({status}). {}", self.name, self.last_words())
    }

    fn wait_until(&mut self, mut serves: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !serves() {
            self.check()?;
            if process::stop_asked() {
                bail!("stopped while the {} started", self.name);
            }
            if Instant::now() > deadline {
                let limit = console::seconds(START_TIMEOUT);
                bail!("the {} does not serve after {limit}. {}", self.name, self.last_words());
            }
            process::pause();
        }
        // Whatever answered, it was not the process that has ended.
        self.check()
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        format!("The end of {}:\n{}", self.log.display(), last_lines(&log, LAST_LINES))
    }
}

/// The last lines of a text.
fn last_lines(text: &str, count: usize) -> String {
    let skipped = text.lines().count().saturating_sub(count);
    text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("", "")]
    #[case::less_than_asked("a\nb\n", "a\nb")]
    #[case::more_than_asked("a\nb\nc\nd\n", "c\nd")]
    fn a_log_is_shown_from_its_end(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(last_lines(text, 2), expected);
    }

    #[test]
    fn a_process_that_ends_is_reported_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        // `false` ends at once and without a word; its log stands in for what it would have said.
        let mut part = Part::start("sandbox", folder.path(), &mut Command::new("false")).unwrap();
        fs::write(&part.log, "starting\nno such key\n").unwrap();
        let error = part.wait_until(|| false).unwrap_err().to_string();
        assert!(error.starts_with("the sandbox ended (exit status: 1)."), "{error}");
        assert!(error.ends_with("starting\nno such key"), "{error}");
    }
}
