//! The load generator: nghttp2's h2load.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Error, Result, ensure};
use tempfile::NamedTempFile;

use super::Target;
use super::resources::Resources;
use crate::grpc::SERVICE;
use crate::process;

/// Number of calls that go unmeasured before.
const WARM_UP: u32 = 2_000;

/// Concurrency of the calls.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) connections: u32,
    /// Calls under way on each.
    pub(super) streams: u32,
}

/// Result of one measurement. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) per_second: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Processor time of the server alone, for each call.
    pub(super) cpu: f64,
}

/// A call as the load generator makes it.
pub(super) struct Call<'a> {
    pub(super) url: String,
    /// The message as bytes, in a file.
    pub(super) request: &'a Path,
    pub(super) token: Option<&'a str>,
}

impl Load {
    /// One caller that waits for each answer.
    pub(super) const ONE_BY_ONE: Self = Self { connections: 1, streams: 1 };

    /// Many callers at once.
    pub(super) const SIXTY_FOUR: Self = Self { connections: 8, streams: 8 };

    /// Makes `calls` calls and looks at every answer's size.
    pub(super) fn run(self, h2load: &Path, server: &Target, calls: u32) -> Result<Sample> {
        let url = format!("{}/{SERVICE}/{}", server.url, server.method);
        let call = Call { url, request: server.request, token: None };
        let one = Self::ONE_BY_ONE.report(Command::new(h2load), &call, 1)?;
        self.report(Command::new(h2load), &call, WARM_UP)?;
        let before = Resources::of(server.process)?;
        let report = self.report(Command::new(h2load), &call, calls)?;
        let spent = Resources::of(server.process)?.cpu_seconds - before.cpu_seconds;
        // An error has no message: only whole answers add up.
        let whole = one.data > 0 && report.data == one.data * u64::from(calls);
        ensure!(whole, "{} did not answer every call", server.name);
        Ok(report.sample(spent / f64::from(calls) * 1e6))
    }

    /// Makes `calls` calls and answers how long they took. The load generator has a real-time priority where the system
    /// allows that: callers are on other machines, so a wait of theirs for a processor is not the service's doing.
    pub(super) fn latencies(self, h2load: &Path, call: &Call, calls: u32) -> Result<Sample> {
        let answer = || Ok::<_, Error>(self.report(Command::new(h2load), call, 1)?.data);
        let before = answer()?;
        self.report(Command::new(h2load), call, WARM_UP)?;
        let report = self.report(process::with_real_time_priority(h2load), call, calls)?;
        let after = answer()?;
        // An error has no message: only whole answers add up, though the account may change once meanwhile.
        let [least, most] =
            [before.min(after), before.max(after)].map(|size| size * u64::from(calls));
        let whole = least > 0 && (least..=most).contains(&report.data);
        ensure!(whole, "{} did not answer every call", call.url);
        Ok(report.sample(f64::NAN))
    }

    fn report(self, mut command: Command, call: &Call, calls: u32) -> Result<Report> {
        let number = |number: u32| number.to_string();
        command.args(["-n", &number(calls), "-c", &number(self.connections.min(calls))]);
        command.args(["-m", &number(self.streams), "-H", "content-type: application/grpc"]);
        command.args(["-H", "te: trailers", "-d"]).arg(call.request);
        if let Some(token) = call.token {
            command.arg("-H").arg(format!("authorization: Bearer {token}"));
        }
        Report::of(command.arg(&call.url))
    }
}

/// Makes `calls` GETs over HTTP/1.1, so many at once, each on a connection of its own. Fails unless all are well.
pub(super) fn plain(h2load: &Path, url: &str, at_once: u32, calls: u32) -> Result<Sample> {
    let mut command = Command::new(h2load);
    command.args(["--h1", "-n", &calls.to_string(), "-c", &at_once.to_string(), url]);
    let report = Report::of(&mut command)?;
    ensure!(report.succeeded == calls, "{} of {calls} calls succeeded", report.succeeded);
    Ok(report.sample(f64::NAN))
}

/// A new file with a message as gRPC frames it.
pub(super) fn message_file(folder: &Path, name: &str, message: &[u8]) -> Result<PathBuf> {
    let file = folder.join(name);
    let length = u32::try_from(message.len()).context("a message is small")?;
    let framed = [&[0], length.to_be_bytes().as_slice(), message].concat();
    std::fs::write(&file, framed).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

impl fmt::Display for Load {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, streams } = self;
        write!(formatter, "connections: {connections}, calls at once on each: {streams}")
    }
}

/// Report of h2load.
struct Report {
    per_second: f64,
    /// Calls that were answered with HTTP 2xx or 3xx.
    succeeded: u32,
    /// Bytes of all bodies.
    data: u64,
    /// Of each call, in microseconds, ascending.
    latencies: Vec<f64>,
}

impl Report {
    /// The report of a measurement by this command of h2load.
    fn of(command: &mut Command) -> Result<Self> {
        let log = NamedTempFile::new().context("cannot make a file for latencies")?;
        command.arg(format!("--log-file={}", log.path().display()));
        let output = command.stdin(Stdio::null()).output().context("cannot start h2load")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let log = std::fs::read_to_string(log.path()).context("h2load left no latencies")?;
        Self::parse(&text, &log)
            .with_context(|| format!("h2load says nothing that we know:\n{text}"))
    }

    fn parse(text: &str, log: &str) -> Option<Self> {
        let finished = text.lines().find_map(|line| line.strip_prefix("finished in "))?;
        let per_second = finished.split(", ").nth(1)?.strip_suffix(" req/s")?.parse().ok()?;
        let requests = text.lines().find_map(|line| line.strip_prefix("requests: "))?;
        let succeeded = requests.split(", ").find_map(|part| part.strip_suffix(" succeeded"))?;
        let traffic = text.lines().find_map(|line| line.strip_prefix("traffic: "))?;
        let data = traffic.rsplit_once(") data")?.0.rsplit_once('(')?.1.parse().ok()?;
        let latency = |line: &str| line.split('\t').nth(2)?.parse::<f64>().ok();
        let mut latencies = log.lines().map(latency).collect::<Option<Vec<_>>>()?;
        latencies.sort_by(f64::total_cmp);
        Some(Self { per_second, succeeded: succeeded.parse().ok()?, data, latencies })
    }

    fn sample(&self, cpu: f64) -> Sample {
        let at = |percent: usize| {
            let index =
                (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
            self.latencies.get(index).copied().unwrap_or(f64::NAN)
        };
        Sample { per_second: self.per_second, p50: at(50), p99: at(99), cpu }
    }
}

impl Sample {
    /// The median of each figure by itself.
    pub(super) fn median(samples: &[Self]) -> Result<Self> {
        let of = |figure: fn(&Self) -> f64| {
            median(samples.iter().map(figure).collect()).context("nothing was measured")
        };
        Ok(Self {
            per_second: of(|sample| sample.per_second)?,
            p50: of(|sample| sample.p50)?,
            p99: of(|sample| sample.p99)?,
            cpu: of(|sample| sample.cpu)?,
        })
    }
}

/// The median; `None` where there is no figure.
pub(super) fn median(figures: Vec<f64>) -> Option<f64> {
    median_by(figures, |figure| *figure)
}

/// The median of the samples by a figure; `None` where there is no sample.
pub(super) fn median_by<T>(mut samples: Vec<T>, figure: impl Fn(&T) -> f64) -> Option<T> {
    samples.sort_by(|one, other| figure(one).total_cmp(&figure(other)));
    let middle = samples.len() / 2;
    samples.into_iter().nth(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
finished in 1.23s, 8123.45 req/s, 3.20MB/s
requests: 4 total, 4 started, 4 done, 4 succeeded, 0 failed, 0 errored, 0 timeout
traffic: 3.20KB (3280) total, 40B (40) headers (space savings 95.12%), 3.05KB (3120) data
";

    #[test]
    fn speed_bodies_and_latencies_are_read() {
        let log = "1\t200\t400\n2\t200\t100\n3\t200\t300\n4\t200\t200\n";
        let report = Report::parse(TEXT, log).unwrap();
        assert_eq!((report.succeeded, report.data), (4, 3120));
        let expected = Sample { per_second: 8123.45, p50: 300.0, p99: 400.0, cpu: 7.0 };
        assert_eq!(report.sample(7.0), expected);
    }

    #[test]
    fn anything_else_is_no_report() {
        assert!(Report::parse("", "").is_none());
        assert!(Report::parse(TEXT, "1\t200\n").is_none());
    }

    #[test]
    fn the_median_of_a_figure_is_the_middle_one() {
        let sample = |per_second, p99| Sample { per_second, p50: 7.0, p99, cpu: 0.0 };
        let samples = [sample(9.0, 30.0), sample(1.0, 10.0), sample(5.0, 90.0)];
        assert_eq!(Sample::median(&samples).unwrap(), sample(5.0, 30.0));
        assert!(Sample::median(&[]).is_err());
    }
}
