//! Intake of webhooks: single updates by many at once beside one by one, and batches beside a loop that only inserts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::load::Sample;
use super::resources::Resources;
use super::{fill, settings, wait_until_ready};
use crate::console::{self, Step};
use crate::process::{self, free_address};
use crate::up::demo;
use crate::up::stack::{APP_ID, APP_SECRET, Settings, Stack, Store};
use crate::workspace::Workspace;

/// Number of accounts that the updates are of, as `webhook_targets` makes them.
const ACCOUNTS: u32 = 100;

/// Number of updates of a batch.
const BATCH: u32 = 100;

/// Number of requests under way at once.
pub(super) const AT_ONCE: u32 = 64;

/// How the service tells the number of updates that it has stored.
pub(super) const STORED: &str = "instagram_accounts_webhook_updates_total{outcome=\"stored\"}";

/// What the load generator does.
const SCRIPT: &str = include_str!("webhooks.lua");

/// Time of one measurement, in seconds.
const SECONDS: u32 = 4;

/// Number of rows that the loop inserts.
const INSERTED: u32 = 40_000;

/// What is measured of the service. More requests are at hand than it answers within the time.
const LOADS: [Load; 3] = [
    Load { name: "single, 1 in flight", at_once: 1, batches: 20_000, updates: 1 },
    Load { name: "single, 64 in flight", at_once: AT_ONCE, batches: 100_000, updates: 1 },
    Load { name: "batches of 100, 64 in flight", at_once: AT_ONCE, batches: 2_500, updates: BATCH },
];

/// Requests of one measurement.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    at_once: u32,
    batches: u32,
    updates: u32,
}

/// Fills one store and measures.
pub(super) fn run(
    workspace: &Workspace,
    wrk: &Path,
    name: &str,
    store: Store,
    rounds: u32,
) -> Result<()> {
    let mut intake = Intake::start(workspace, wrk.to_owned(), name, store)?;
    let step = Step::begin(format!("{name}: receiving webhooks"));
    let (mut samples, mut inserting) = (LOADS.map(|_| Vec::new()), Vec::new());
    for _ in 0..rounds {
        // They take turns, so that a slow minute of the machine hits all.
        for (load, samples) in LOADS.into_iter().zip(&mut samples) {
            samples.push(intake.measure(load)?);
        }
        inserting.push(intake.insert()?);
    }
    step.done();
    let [one, many, batches] = samples.map(|samples| Sample::median(&samples));
    let (one, many, batches) = (one?, many?, batches?);
    let inserting = Sample::median(&inserting)?.per_second;
    console::say(format_args!("\n{name}, median of {rounds}"));
    console::say("                              updates/s     ratio       p50       p99  CPU each");
    for (load, sample, ratio) in [
        (LOADS[0], one, 1.0),
        (LOADS[1], many, many.per_second / one.per_second),
        (LOADS[2], batches, batches.per_second / inserting),
    ] {
        let Sample { per_second, p50, p99, cpu } = sample;
        let (name, p50, p99) = (load.name, p50 / 1e3, p99 / 1e3);
        console::say(format_args!(
            "{name:<28} {per_second:>10.0} {ratio:>9.2} {p50:>6.1} ms {p99:>6.1} ms {cpu:>6.0} us"
        ));
    }
    console::say(format_args!("{:<28} {inserting:>10.0} {:>9.2}", "a loop of such inserts", 1.0));
    Ok(())
}

/// The service over a few accounts, and the updates that it was sent.
struct Intake {
    settings: Settings,
    wrk: PathBuf,
    url: String,
    stack: Stack,
    /// Number of the next update: each is a new one.
    next: u64,
}

impl Intake {
    fn start(workspace: &Workspace, wrk: PathBuf, name: &str, store: Store) -> Result<Self> {
        let callbacks = free_address()?;
        let mut settings = settings(workspace, &format!("{name}-webhooks"), store)?;
        settings.callbacks = Some(callbacks);
        let stack = Stack::start(&settings)?;
        fill(&settings, name, ACCOUNTS)?;
        wait_until_ready(&settings.readyz())?;
        let url = format!("http://{callbacks}/webhooks/instagram");
        Ok(Self { settings, wrk, url, stack, next: 0 })
    }

    /// Sends requests for a while, each of which must be answered with 200, and looks at the number of updates that were
    /// stored.
    fn measure(&mut self, load: Load) -> Result<Sample> {
        let first = self.next;
        self.next += u64::from(load.batches * load.updates);
        let requests = requests(&self.settings, first, load.batches, load.updates)?;
        let service = self.stack.service_process();
        let (before, stored) = (Resources::of(service)?.cpu_seconds, self.stored()?);
        let mut load_generator = generator(&self.wrk, &requests, &self.url, load.at_once, SECONDS)?;
        let measured = Measured::parse(&process::output(&mut load_generator)?);
        let measured = measured.context("wrk says nothing that we know, or requests failed")?;
        let cpu = Resources::of(service)?.cpu_seconds - before;
        let answered = measured.answered * u64::from(load.updates);
        let stored = self.stored()? - stored;
        // Those that were under way at the end may be stored.
        let at_most = answered + u64::from(load.at_once * load.updates);
        ensure!(
            (answered..=at_most).contains(&stored),
            "{answered} were answered, {stored} stored"
        );
        let answered = u32::try_from(answered).context("not so many")?;
        let per_second = f64::from(answered) / measured.seconds;
        let cpu = cpu / f64::from(answered) * 1e6;
        Ok(Sample { per_second, p50: measured.p50, p99: measured.p99, cpu })
    }

    /// Number of updates that the service has stored.
    fn stored(&self) -> Result<u64> {
        let numbers = demo::get(&self.settings.metrics_url())?;
        let numbers = numbers.as_str().context("the numbers are no text")?;
        let stored = numbers.lines().find_map(|line| line.strip_prefix(STORED));
        stored.context("no number of stored updates")?.trim().parse().context("no number")
    }

    /// Rows a second of a loop that only inserts rows of the last batches, in such batches.
    fn insert(&self) -> Result<Sample> {
        let mut insert =
            Command::new(self.settings.programs.join("examples").join("insert_updates"));
        insert.args([&self.settings.database_url(), APP_ID, &INSERTED.to_string()]);
        let rate = process::output(insert.arg(BATCH.to_string()))?;
        let per_second = rate.trim().parse().context("the loop says no number")?;
        Ok(Sample { per_second, p50: f64::NAN, p99: f64::NAN, cpu: f64::NAN })
    }
}

/// A file of so many requests, each with so many updates, which are numbered from `first` on.
pub(super) fn requests(
    settings: &Settings,
    first: u64,
    number: u32,
    updates: u32,
) -> Result<PathBuf> {
    let file = settings.folder.join("requests");
    let output =
        std::fs::File::create(&file).with_context(|| format!("cannot make {}", file.display()))?;
    let mut requests = Command::new(settings.programs.join("examples/webhook_targets"));
    requests.args([APP_SECRET, &first.to_string()]);
    requests.args([number.to_string(), updates.to_string()]);
    process::run(requests.stdout(Stdio::from(output)))?;
    Ok(file)
}

/// Sends `requests` to `url` for so many seconds, so many at once.
pub(super) fn generator(
    wrk: &Path,
    requests: &Path,
    url: &str,
    at_once: u32,
    seconds: u32,
) -> Result<Command> {
    let script = requests.with_extension("lua");
    std::fs::write(&script, SCRIPT)
        .with_context(|| format!("cannot write {}", script.display()))?;
    let mut command = Command::new(wrk);
    command.args(["--threads=1", "--timeout=30s"]);
    command.arg(format!("--connections={at_once}")).arg(format!("--duration={seconds}s"));
    command.arg("--script").arg(&script).arg(url).arg("--").arg(requests);
    Ok(command)
}

/// What the script says of a measurement.
#[derive(Debug, PartialEq)]
struct Measured {
    answered: u64,
    seconds: f64,
    /// In microseconds, as the other.
    p50: f64,
    p99: f64,
}

impl Measured {
    /// The measurement; `None` where the output is another, or says that requests failed.
    fn parse(output: &str) -> Option<Self> {
        output.lines().find(|line| *line == "failed 0")?;
        let measured = output.lines().find_map(|line| line.strip_prefix("measured "))?;
        let mut numbers = measured.split(' ');
        let answered = numbers.next()?.parse().ok()?;
        let mut number = || numbers.next()?.parse().ok();
        Some(Self { answered, seconds: number()?, p50: number()?, p99: number()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_read_where_no_request_failed() {
        let well = "Running 4s test\nfailed 0\nmeasured 8000 4.000100 900.0 2500.0\n";
        let expected = Measured { answered: 8000, seconds: 4.0001, p50: 900.0, p99: 2500.0 };
        assert_eq!(Measured::parse(well), Some(expected));
        assert_eq!(Measured::parse(&well.replace("failed 0", "failed 1")), None);
        assert_eq!(Measured::parse("failed 0\nmeasured 8000\n"), None);
    }
}
