//! Rows of a table: servers, each asked in one way, and what was measured.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{Asked, Server, example};
use crate::bench::load::{Load, median};
use crate::console;
use crate::workspace::Workspace;

/// One server, asked in one way.
pub(super) struct Row {
    pub(super) server: Server,
    asked: Asked,
    samples: Vec<Sample>,
}

/// Figures of one measurement. Times are in microseconds, and processor times those of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    per_second: f64,
    p50: f64,
    p99: f64,
    server: f64,
    database: f64,
    load: f64,
    /// Write calls of the server for each call.
    writes: f64,
}

impl Row {
    /// A row without samples yet.
    pub(super) fn new(server: Server, asked: Asked) -> Self {
        Self { server, asked, samples: Vec::new() }
    }

    /// The rows of a server: one for each way in which it is asked.
    pub(super) fn of(server: &Server) -> impl Iterator<Item = Self> {
        server.asked.iter().map(|asked| Self::new(server.clone(), *asked))
    }

    /// Makes `calls` calls, each of whose answers is compared.
    pub(super) fn measure(&mut self, workspace: &Workspace, load: Load, calls: u32) -> Result<()> {
        let Self { server, asked, samples } = self;
        let numbers = [asked.accounts, load.connections, load.streams, calls];
        let mut command = Command::new(example(workspace, "get_load"));
        command.args([&server.address.to_string(), asked.key]);
        command.args(numbers.map(|number| number.to_string())).arg(&server.token);
        command.args(&server.authority);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut generator = command.spawn().context("cannot start the load")?;
        let stdin = generator.stdin.as_mut().zip(generator.stdout.as_mut());
        let (stdin, stdout) = stdin.context("the load has no voice")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut next = || lines.next().transpose()?.context("the load broke off");
        next()?;
        let before = server.used()?;
        writeln!(stdin).context("the load does not listen")?;
        let line = next()?;
        let after = server.used()?;
        ensure!(generator.wait()?.success(), "the load failed");
        let numbers: Result<Vec<f64>, _> = line.split(' ').map(str::parse).collect();
        let Ok([per_second, p50, p99, load]) = numbers.as_deref() else {
            anyhow::bail!("the load says {line:?}");
        };
        let each = |before: f64, after: f64| (after - before) / f64::from(calls);
        samples.push(Sample {
            per_second: *per_second,
            p50: *p50,
            p99: *p99,
            server: each(before.0.cpu_seconds, after.0.cpu_seconds) * 1e6,
            database: each(before.1, after.1) * 1e6,
            load: *load,
            writes: each(before.0.writes, after.0.writes),
        });
        Ok(())
    }

    /// The median of a figure.
    fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(figure).collect()).unwrap_or(f64::NAN)
    }
}

/// Prints a table of all rows; the first two are the bare servers.
pub(super) fn print(load: Load, calls: u32, rounds: u32, rows: &[Row]) {
    console::say(format_args!("\n{load}; {calls} calls, median of {rounds}\n"));
    console::say(table(rows));
}

/// All rows; the first two are the bare servers.
fn table(rows: &[Row]) -> String {
    let mut lines = vec![
        "| server | key | accounts | calls/s | ÷ default | ÷ tuned | p50 µs | p99 µs | CPU µs: server | database | load | writes a call |".to_owned(),
        "|---|---|---|---|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    let rate = |row: &Row| row.median(|sample| sample.per_second);
    let bare = |index: usize| rows.get(index).map_or(f64::NAN, rate);
    let (default, tuned) = (bare(0), bare(1));
    for row in rows {
        let Asked { key, accounts } = row.asked;
        let (name, rate) = (row.server.name, rate(row));
        let (of_default, of_tuned) = (rate / default, rate / tuned);
        let [p50, p99] = [row.median(|sample| sample.p50), row.median(|sample| sample.p99)];
        let server = row.median(|sample| sample.server);
        let (database, load) = (row.median(|one| one.database), row.median(|one| one.load));
        let writes = row.median(|sample| sample.writes);
        lines.push(format!(
            "| {name} | {key} | {accounts} | {rate:.0} | {of_default:.2} | {of_tuned:.2} | {p50:.0} | {p99:.0} | {server:.1} | {database:.1} | {load:.1} | {writes:.2} |"
        ));
    }
    lines.join("\n")
}
