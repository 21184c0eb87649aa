//! Child processes. Each leads its own process group, and none outlives `cargo xtask`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::console::note;

/// Interval between two looks at a child.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Maximum time for a child to stop by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// As nice as a process can be.
const LOWEST_PRIORITY: i32 = 19;

static STOP: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP only set what [`stop_asked`] answers.
pub(crate) fn listen_for_stop() -> Result<()> {
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).context("cannot handle signals")
}

/// Whether somebody asked `cargo xtask` to stop.
pub(crate) fn stop_asked() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// An address on loopback that nothing listens on now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    listener.local_addr().context("no port is free")
}

/// Three such addresses.
pub(crate) fn free_addresses() -> Result<[SocketAddr; 3]> {
    // Held until all are known, or they might be one.
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free");
    let (one, two, three) = (bind()?, bind()?, bind()?);
    let address = |listener: &TcpListener| listener.local_addr().context("no port is free");
    Ok([address(&one)?, address(&two)?, address(&three)?])
}

/// Waits for [`POLL_INTERVAL`], between two looks at something.
pub(crate) fn pause() {
    sleep(POLL_INTERVAL);
}

/// A child and all that it starts. Dropping it stops them: TERM, five seconds, KILL.
pub(crate) struct Group(Child);

impl Group {
    /// Starts a command, without standard input.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).process_group(0).spawn();
        Ok(Self(child.with_context(|| format!("cannot start `{}`", command_line(command)))?))
    }

    /// Exit status of the child; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.0.try_wait().context("cannot look at a child process")
    }

    /// The child's process id, and that of the group.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Asks the child to stop, and waits for its end within `limit`.
    pub(crate) fn stop(mut self, limit: Duration) -> Result<()> {
        self.signal(Signal::SIGTERM);
        wait_until("a process has stopped", limit, || Ok(self.ended()?.is_some()))
    }

    fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.0.id()) {
            // The group may be gone already, which is what we want.
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.ended(), Ok(None)) {
            self.signal(Signal::SIGTERM);
        }
        let started = Instant::now();
        while matches!(self.ended(), Ok(None)) && started.elapsed() < STOP_TIMEOUT {
            pause();
        }
        self.signal(Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// Starts something with the lowest priority, on Linux together with all that it starts.
pub(crate) fn start_low<T: Send>(start: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let low = || {
        // A priority is a thread's there, and goes to what the thread starts.
        rustix::process::nice(LOWEST_PRIORITY).context("cannot lower a priority")?;
        start()
    };
    let started = thread::scope(|scope| scope.spawn(low).join());
    started.map_err(|_| anyhow!("the thread that starts it panicked"))?
}

/// The same, and on Linux it has only the last processor.
pub(crate) fn start_apart<T: Send>(start: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    start_low(|| {
        keep_to_last_processor().context("cannot keep to a processor")?;
        start()
    })
}

#[cfg(target_os = "linux")]
fn keep_to_last_processor() -> rustix::io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let allowed = sched_getaffinity(None)?;
    let mut last = CpuSet::new();
    last.set((0..CpuSet::MAX_CPU).rfind(|processor| allowed.is_set(*processor)).unwrap_or(0));
    sched_setaffinity(None, &last)
}

#[cfg(not(target_os = "linux"))]
fn keep_to_last_processor() -> rustix::io::Result<()> {
    Ok(())
}

/// A command of `program`, with a priority before all usual ones where the system allows that, which mostly takes root.
/// Where it does not, a note says so once.
pub(crate) fn with_real_time_priority(program: &Path) -> Command {
    static IS_ALLOWED: LazyLock<bool> = LazyLock::new(|| {
        let tried = Command::new("chrt").args(["--rr", "1", "true"]).output();
        let reason = match tried {
            Ok(output) if output.status.success() => return true,
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => format!("chrt: {error}"),
        };
        note(format_args!(
            "a caller's times include its own waits for a processor, as it has no real-time priority ({reason})"
        ));
        false
    });
    if !*IS_ALLOWED {
        return Command::new(program);
    }
    let mut command = Command::new("chrt");
    command.args(["--rr", "1"]).arg(program);
    command
}

/// Runs a command to its end, with its output shown; fails when it fails or when a stop is asked.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let mut group = Group::start(command)?;
    loop {
        if let Some(status) = group.ended()? {
            ensure!(status.success(), "`{}` failed: {status}", command_line(command));
            return Ok(());
        }
        if stop_asked() {
            bail!("stopped while `{}` ran", command_line(command));
        }
        pause();
    }
}

/// Runs a command to its end without showing its output; answers what it printed, fails with what it complained of.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start `{}`", command_line(command)))?;
    let trouble = String::from_utf8_lossy(&output.stderr);
    let (status, trouble) = (output.status, trouble.trim_end());
    ensure!(status.success(), "`{}` failed: {status}\n{trouble}", command_line(command));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits until something is done; fails after `limit`, and when a stop is asked.
pub(crate) fn wait_until(
    what: &str,
    limit: Duration,
    mut done: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let started = Instant::now();
    while !done()? {
        ensure!(!stop_asked(), "stopped before {what}");
        ensure!(started.elapsed() < limit, "after {limit:?} it is not so that {what}");
        pause();
    }
    Ok(())
}

/// A command as one would type it.
pub(crate) fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quote(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it.
pub(crate) fn quote(word: &str) -> String {
    // Only a NUL cannot be quoted, and no word that a process was given holds one.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_names_the_command_and_its_status() {
        let error = run(&mut shell("exit 3")).unwrap_err().to_string();
        assert_eq!(error, "`sh -c 'exit 3'` failed: exit status: 3");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert_eq!(error, "cannot start `no-such-program`");
    }

    #[test]
    fn what_a_quiet_command_complained_of_is_told() {
        assert_eq!(output(&mut shell("echo well; echo beside >&2")).unwrap(), "well\n");
        let error = output(&mut shell("echo gone >&2; exit 3")).unwrap_err().to_string();
        assert_eq!(error, "`sh -c 'echo gone >&2; exit 3'` failed: exit status: 3\ngone");
    }

    #[test]
    fn waiting_has_an_end() {
        let mut looks = 0;
        let third = || {
            looks += 1;
            Ok(looks == 3)
        };
        wait_until("it is well", STOP_TIMEOUT, third).unwrap();
        assert_eq!(looks, 3);
        let error = wait_until("it is well", Duration::ZERO, || Ok(false)).unwrap_err();
        assert_eq!(error.to_string(), "after 0ns it is not so that it is well");
    }

    #[test]
    fn dropping_a_group_ends_its_grandchildren_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("grandchild");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let group = Group::start(&mut shell(&script)).unwrap();
        let grandchild = loop {
            let written = std::fs::read_to_string(&file).unwrap_or_default();
            if let Ok(id) = written.trim_end().parse::<i32>() {
                break Pid::from_raw(id);
            }
            pause();
        };
        drop(group);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while alive(grandchild) {
            assert!(Instant::now() < deadline, "the grandchild still runs");
            pause();
        }
    }

    /// Whether a process runs; one that nobody has reaped yet does not.
    fn alive(process: Pid) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z ")
    }
}
