//! Cost of streams to writers, and the time from a write to its arrival at them.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::load::Sample;
use super::resources::Resources;
use super::{caller, fill, settings, wait_until_ready};
use crate::console::{self, Step};
use crate::process::{self, Group, free_address};
use crate::up::stack::{Settings, Stack, Store};
use crate::workspace::Workspace;

/// Number of accounts that a measurement unlinks.
const WRITES: u32 = 5_000;

/// Number of callers with streams. Each has ten.
pub(super) const CALLERS: u32 = 10;

/// Who is told meanwhile: the replica with the streams, and whether each is told of its own owner or of all.
const ROWS: [(&str, Option<(Replica, &str)>); 5] = [
    ("no stream", None),
    ("100 streams, an owner each", Some((Replica::Same, "own"))),
    ("100 streams, all each", Some((Replica::Same, "all"))),
    ("100 on another replica, an owner each", Some((Replica::Other, "own"))),
    ("100 on another replica, all each", Some((Replica::Other, "all"))),
];

/// Replica as the writers see it.
#[derive(Clone, Copy)]
enum Replica {
    Same,
    Other,
}

/// Fills one store and measures.
pub(super) fn run(workspace: &Workspace, name: &str, store: Store, rounds: u32) -> Result<()> {
    let accounts = u32::try_from(ROWS.len()).context("a few rows")? * rounds * WRITES;
    let crowd = Crowd::start(workspace, name, store, accounts)?;
    let step = Step::begin(format!("{name}: {accounts} writes"));
    let mut samples = ROWS.map(|_| Vec::new());
    for _ in 0..rounds {
        // They take turns, so that a slow minute of the machine hits all.
        for ((_, streams), samples) in ROWS.iter().zip(&mut samples) {
            samples.push(crowd.measure(*streams)?);
        }
    }
    step.done();
    console::say(format_args!("\n{name}, {WRITES} writes by 8 at once, median of {rounds}"));
    console::say(
        "beside                                writes/s  of alone  CPU each    until told p50      p99",
    );
    let mut alone = f64::NAN;
    for ((what, streams), samples) in ROWS.iter().zip(samples) {
        let Sample { per_second, p50, p99, cpu } = Sample::median(&samples)?;
        alone = if alone.is_nan() { per_second } else { alone };
        let told = format!("{:>15.1} ms {:>5.1} ms", p50 / 1e3, p99 / 1e3);
        let told = streams.map_or(String::new(), |_| told);
        let ratio = per_second / alone;
        console::say(format_args!(
            "{what:<37} {per_second:>8.0} {ratio:>9.2} {cpu:>6.0} us {told}"
        ));
    }
    Ok(())
}

/// Two replicas over many accounts, and their callers.
struct Crowd {
    settings: Settings,
    writer: String,
    watchers: Vec<String>,
    stack: Stack,
    other: Settings,
    _other_replica: Group,
}

impl Crowd {
    fn start(workspace: &Workspace, name: &str, store: Store, accounts: u32) -> Result<Self> {
        let mut settings = settings(workspace, &format!("{name}-watch"), store)?;
        settings.callers = Some(settings.folder.join("callers.toml"));
        let everybody = ["*".to_owned()];
        let writer = caller(&settings, "writer", "admin", &everybody)?;
        let watcher = |number| caller(&settings, &format!("watcher-{number}"), "read", &everybody);
        let watchers = (0..CALLERS).map(watcher).collect::<Result<_>>()?;
        let stack = Stack::start(&settings)?;
        fill(&settings, name, accounts)?;
        let other =
            Settings { grpc: free_address()?, metrics: free_address()?, ..settings.clone() };
        let mut serve = other.service("serve");
        let replica = Group::start(serve.stdout(Stdio::null()).stderr(Stdio::null()))?;
        for settings in [&settings, &other] {
            wait_until_ready(&settings.readyz())?;
        }
        Ok(Self { settings, writer, watchers, stack, other, _other_replica: replica })
    }

    /// Speed of the writers, the replica's processor time for each write, and the time until the streams were told.
    fn measure(&self, streams: Option<(Replica, &str)>) -> Result<Sample> {
        let mut load = Command::new(self.settings.programs.join("examples").join("watch_load"));
        load.args([&self.settings.grpc_url(), &self.writer, &WRITES.to_string(), "0"]);
        if let Some((replica, owners)) = streams {
            let settings = match replica {
                Replica::Same => &self.settings,
                Replica::Other => &self.other,
            };
            load.args([&settings.grpc_url(), owners]).args(&self.watchers);
        }
        let service = self.stack.service_process();
        let before = Resources::of(service)?.cpu_seconds;
        let measured = process::output(&mut load)?;
        let cpu = (Resources::of(service)?.cpu_seconds - before) / f64::from(WRITES) * 1e6;
        let numbers = measured.split_whitespace().map(str::parse::<f64>);
        let numbers = numbers.collect::<Result<Vec<_>, _>>().context("the load says no numbers")?;
        let [per_second, p50, p99] = numbers[..] else {
            anyhow::bail!("the load says nothing that we know: {measured}")
        };
        Ok(Sample { per_second, p50, p99, cpu })
    }
}
