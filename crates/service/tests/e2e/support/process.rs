//! A program of ours that runs beside the test, and all that it printed.

#[cfg(target_os = "linux")]
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{TEST_TIMEOUT, eventually};

/// A running program. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    output: Arc<Output>,
}

/// A thread of a running program.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct Thread {
    /// The first fifteen bytes of its name.
    pub(crate) name: String,
    /// How far its priority is below the usual one.
    pub(crate) niceness: i32,
    /// Processors that it may run on.
    pub(crate) processors: BTreeSet<usize>,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Arc::new(Output::default());
        read(child.stdout.take().unwrap(), Arc::clone(&output));
        read(child.stderr.take().unwrap(), Arc::clone(&output));
        Self { child, output }
    }

    /// Waits for a line that holds `text`, and returns it.
    pub(crate) fn line_with(&self, text: &str) -> String {
        self.line_with_one_of(&[text])
    }

    /// Waits for a line that holds one of these texts, and returns it.
    pub(crate) fn line_with_one_of(&self, texts: &[&str]) -> String {
        let is_sought = |line: &&String| texts.iter().any(|text| line.contains(text));
        let find = |lines: &[String]| lines.iter().find(is_sought).cloned();
        let lines = self.output.lines.lock().unwrap();
        let waited = self
            .output
            .grown
            .wait_timeout_while(lines, TEST_TIMEOUT, |lines| find(lines).is_none());
        // Not with the lines locked: the end of the program prints them.
        let found = find(&waited.unwrap().0);
        found.unwrap_or_else(|| panic!("no line with one of {texts:?}"))
    }

    /// Waits until the service listens, without holding up what else the test has under way; returns where.
    pub(crate) async fn address(&self) -> SocketAddr {
        eventually("it listens", async || {
            let printed = self.printed();
            printed.lines().find(|line| line.contains("is listening")).and_then(address_in)
        })
        .await
    }

    /// All that was printed so far.
    pub(crate) fn printed(&self) -> String {
        self.output.lines.lock().unwrap().join("\n")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Memory that it holds, and the most that it ever held, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self) -> [usize; 2] {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        ["VmRSS:", "VmHWM:"].map(|name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let kib: usize = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
            kib * 1024
        })
    }

    /// Its threads, the main one first.
    #[cfg(target_os = "linux")]
    pub(crate) fn threads(&self) -> Vec<Thread> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let thread = |folder: std::io::Result<std::fs::DirEntry>| {
            let folder = folder.unwrap().path();
            // One may end meanwhile.
            let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
            let status = std::fs::read_to_string(folder.join("status")).ok()?;
            let (_, named) = stat.split_once(" (").unwrap();
            let (name, fields) = named.rsplit_once(") ").unwrap();
            let processors =
                status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            Some(Thread {
                name: name.to_owned(),
                // The nineteenth field, where the name is the second. Source: proc_pid_stat(5).
                niceness: fields.split(' ').nth(16).unwrap().parse().unwrap(),
                processors: numbers(processors.unwrap().trim()),
            })
        };
        threads.filter_map(thread).collect()
    }

    /// Sends a signal again and again until the program has ended, for a minute at most.
    pub(crate) async fn ended_by(&mut self, signal: Signal) -> ExitStatus {
        eventually("the program ends", async || {
            let ended = self.child.try_wait().unwrap();
            if ended.is_none() {
                self.signal(signal);
            }
            ended
        })
        .await
    }

    /// Asks it to end by SIGTERM, and waits until it has.
    pub(crate) fn stop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.signal(Signal::SIGTERM);
        }
        self.child.wait().unwrap();
    }

    /// Waits for the end, for a minute at most.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let Self { child, .. } = self;
        eventually("the program ends", async || child.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "the test's own output shows why it failed")]
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            eprintln!("--- the program printed:\n{}", self.printed());
        }
    }
}

fn read(pipe: impl Read + Send + 'static, output: Arc<Output>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            output.lines.lock().unwrap().push(line);
            output.grown.notify_all();
        }
    });
}

/// The address that a line of the log names, as text or as JSON.
pub(crate) fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once("address")?;
    address.trim_start_matches(['=', ':', '"']).split([' ', '"']).next()?.parse().ok()
}

/// Numbers of a list such as `0-3,7`.
#[cfg(target_os = "linux")]
fn numbers(list: &str) -> BTreeSet<usize> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        from.parse().unwrap()..=to.parse().unwrap()
    };
    list.split(',').flat_map(range).collect()
}
