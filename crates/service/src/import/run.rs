//! The run over the lines: so many at the same time, none while Instagram throttles the app.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use ig_application::{ImportWork, Ports};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::lines::{Line, Lines};
use super::refusal::{Refusal, Trouble};
use super::result_file::{ResultFile, Tried};
use super::row;
use super::summary::{Summary, is_done, outcome_name};
use super::work::{Ended, Job, import};
use crate::caller::Outputs;
use crate::columns::moment;
use crate::output::is_read_on;
use crate::progress::Progress;
use crate::stop_signals::StopSignals;

/// Number of lines that are read ahead.
const READ_AHEAD: usize = 64;

/// Interval between two looks at the clock while Instagram throttles the app.
const PAUSE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum number of lines in a row that fail for trouble of the app or of Instagram. Ours: some more than a hiccup of
/// Instagram takes with it, and few of a file.
const MAX_TROUBLED_LINES: usize = 50;

/// Number of lines after which progress is told where there is no bar.
const PROGRESS_LINES: u64 = 1000;

/// An import under way.
pub(super) struct Run {
    ports: Ports,
    work: Arc<ImportWork>,
    in_flight: usize,
    result: Option<ResultFile>,
    /// What earlier imports have written, by line.
    before: BTreeMap<u64, Tried>,
    summary: Summary,
    progress: Progress,
    tasks: JoinSet<(Job, Ended)>,
    /// Lines that were throttled.
    postponed: Vec<Job>,
    /// Moment until which Instagram throttles the app.
    pause: Option<OffsetDateTime>,
    /// Number of lines in a row that failed for trouble of the app or of Instagram.
    troubled_lines: usize,
    /// Reason for which no more lines are begun.
    stop: Option<anyhow::Error>,
}

impl Run {
    /// A run of which nothing is done; `total` is the number of lines, where that is known.
    pub(super) fn new(
        ports: Ports,
        in_flight: usize,
        result: Option<ResultFile>,
        before: BTreeMap<u64, Tried>,
        total: Option<u64>,
    ) -> Self {
        Self {
            work: Arc::new(ImportWork::new(&ports)),
            ports,
            in_flight,
            result,
            before,
            summary: Summary::default(),
            progress: Progress::begin("imported", total, PROGRESS_LINES),
            tasks: JoinSet::new(),
            postponed: Vec::new(),
            pause: None,
            troubled_lines: 0,
            stop: None,
        }
    }

    /// Tries all lines, and writes a summary. `FAILURE` where one was bad.
    ///
    /// # Errors
    ///
    /// When it was stopped, or cannot go on. What was under way is finished before.
    pub(super) async fn execute(
        mut self,
        lines: Lines<impl BufRead + Send + 'static>,
        signals: &mut StopSignals,
        outputs: &mut Outputs<'_>,
    ) -> anyhow::Result<ExitCode> {
        let mut lines = read_ahead(lines);
        let mut is_at_end = false;
        loop {
            let begins = self.stop.is_none() && self.pause.is_none();
            while begins
                && self.has_room()
                && let Some(job) = self.postponed.pop()
            {
                self.begin(job);
            }
            let is_done = is_at_end && self.postponed.is_empty();
            if self.tasks.is_empty() && (self.stop.is_some() || is_done) {
                break;
            }
            tokio::select! {
                signal = signals.next(), if self.stop.is_none() => {
                    self.stop = Some(stopped_by(signal));
                }
                Some(ended) = self.tasks.join_next() => {
                    match ended.context("the work of a line panicked") {
                        Ok((job, ended)) => {
                            let trouble = self.trouble_after(&ended);
                            let noted = self.note(&job, ended, outputs);
                            self.stop_where_failed(noted);
                            if let Some((trouble, message)) = trouble && self.stop.is_none() {
                                self.stop_for(trouble, &message, signals).await;
                            }
                        }
                        Err(error) => self.stop_where_failed(Err(error)),
                    }
                }
                () = pause_ends(&self.ports, self.pause), if self.pause.is_some() => self.pause = None,
                line = lines.recv(), if begins && self.has_room() && !is_at_end => match line {
                    Some(line) => {
                        let line = line.context("the file cannot be read on");
                        let taken = line.and_then(|line| self.take(line, outputs));
                        self.stop_where_failed(taken);
                    }
                    None => is_at_end = true,
                },
            }
        }
        drop(self.progress);
        let shown = is_read_on(write!(outputs.out, "{}", self.summary));
        if let Some(reason) = self.stop {
            return Err(reason);
        }
        shown?;
        Ok(if self.summary.bad() > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Begins no more lines where something failed. Those under way go on: Instagram may have renewed their tokens.
    fn stop_where_failed(&mut self, done: anyhow::Result<()>) {
        if let Err(error) = done {
            self.stop.get_or_insert(error);
        }
    }

    /// Counts lines in a row that failed for trouble of the app or of Instagram. Returns it, and its text, once they are
    /// too many.
    fn trouble_after(&mut self, ended: &Ended) -> Option<(Trouble, String)> {
        match ended {
            Ended::Refused(Refusal { trouble: Some(trouble), message, .. }) => {
                self.troubled_lines += 1;
                let too_many = self.troubled_lines >= MAX_TROUBLED_LINES;
                too_many.then(|| (*trouble, message.clone()))
            }
            // It says nothing about either.
            Ended::Throttled { .. } => None,
            Ended::Imported(_) | Ended::Refused(_) | Ended::Stopped(_) => {
                self.troubled_lines = 0;
                None
            }
        }
    }

    /// Begins no more lines for `trouble`. A refusal of the app is the lines' own matter where an account that is stored
    /// is well.
    async fn stop_for(&mut self, trouble: Trouble, message: &str, signals: &mut StopSignals) {
        let lines = self.troubled_lines;
        let advice = match trouble {
            Trouble::InstagramAway => "run the import again once that is over, and it goes on",
            Trouble::AppRefused => {
                let work = Arc::clone(&self.work);
                let is_well = tokio::select! {
                    is_well = work.is_app_well() => is_well,
                    signal = signals.next() => {
                        self.stop = Some(stopped_by(signal));
                        return;
                    }
                };
                match is_well {
                    Ok(true) => {
                        self.troubled_lines = 0;
                        return;
                    }
                    Ok(false) => {
                        "mend that, or the lines where they have no tokens of Instagram's, and run the import again: \
                         it goes on"
                    }
                    Err(error) => {
                        self.stop = Some(anyhow::Error::from(error).context(format!(
                            "{lines} lines in a row failed: {message}; whether other accounts are well could not be \
                             read: run the import again once the database is back, and it goes on"
                        )));
                        return;
                    }
                }
            }
        };
        self.stop = Some(anyhow!("{lines} lines in a row failed: {message}; {advice}"));
    }

    /// Adds a row to the result, where there is one. After a failure there is none any more: a row may be half written.
    fn write_row(&mut self, row: impl FnOnce(&mut ResultFile) -> anyhow::Result<()>) {
        if let Some(result) = &mut self.result
            && let Err(error) = row(result)
        {
            self.result = None;
            let advice = "the import has stopped: run it again once the result can be written, and it goes on";
            self.stop = Some(error.context(advice));
        }
    }

    fn has_room(&self) -> bool {
        self.tasks.len() < self.in_flight
    }

    fn begin(&mut self, job: Job) {
        let work = Arc::clone(&self.work);
        self.tasks.spawn(async move {
            let ended = import(&work, &job).await;
            (job, ended)
        });
    }

    /// Takes up a line, unless it is blank or done.
    fn take(&mut self, line: Line, outputs: &mut Outputs<'_>) -> anyhow::Result<()> {
        let number = line.number;
        let Some(bytes) = line.bytes else {
            return self.refuse(number, "", Refusal::invalid("the line is too long"), outputs);
        };
        let Some(cells) = row::cells(&bytes) else {
            let is_blank = bytes.iter().all(u8::is_ascii_whitespace);
            let refusal = Refusal::invalid("the line is no UTF-8");
            return if is_blank { Ok(()) } else { self.refuse(number, "", refusal, outputs) };
        };
        if let Some(tried) = self.before.get(&number).filter(|tried| is_done(&tried.outcome)) {
            if cells.get(1) != Some(&tried.owner) {
                self.stop = Some(anyhow!(
                    "line {number} has another owner than in the result, which is that of another file"
                ));
                return Ok(());
            }
            self.summary.count_done_before(&tried.outcome);
            return self.advance(outputs);
        }
        match row::command(&cells, self.ports.clock.now()) {
            Ok(command) => {
                self.begin(Job { line: number, command: Arc::new(command) });
                Ok(())
            }
            Err(wrong) => self.refuse(number, "", Refusal::invalid(&wrong), outputs),
        }
    }

    /// Notes what a try of a line came to.
    fn note(&mut self, job: &Job, ended: Ended, outputs: &mut Outputs<'_>) -> anyhow::Result<()> {
        match ended {
            Ended::Imported(imported) => {
                let outcome = outcome_name(imported.outcome);
                self.write_row(|result| result.imported(job.line, outcome, &imported));
                self.summary.count(outcome);
                self.advance(outputs)
            }
            Ended::Refused(refusal) => {
                self.refuse(job.line, job.command.owner.as_str(), refusal, outputs)
            }
            Ended::Throttled { wait } => {
                self.postponed.push(job.clone());
                let end = self.ports.clock.now() + wait;
                if self.pause.replace(self.pause.map_or(end, |former| former.max(end))).is_none() {
                    let line = format!(
                        "Instagram throttles the app: nothing is tried until {}",
                        moment(end)
                    );
                    self.progress.say(&line, outputs.err)?;
                }
                Ok(())
            }
            Ended::Stopped(reason) => {
                self.stop.get_or_insert(reason);
                Ok(())
            }
        }
    }

    /// Notes a bad line: in the result where there is one, once, else on standard error.
    fn refuse(
        &mut self,
        line: u64,
        owner: &str,
        Refusal { outcome, message, .. }: Refusal,
        outputs: &mut Outputs<'_>,
    ) -> anyhow::Result<()> {
        let tried = Tried { outcome: outcome.clone(), owner: owner.to_owned() };
        match &self.result {
            Some(_) if self.before.get(&line) != Some(&tried) => {
                self.write_row(|result| result.refused(line, &tried));
            }
            Some(_) => {}
            None => {
                self.progress.say(&format!("line {line}: {outcome}: {message}"), outputs.err)?;
            }
        }
        self.summary.count(&outcome);
        self.advance(outputs)
    }

    /// Shows that one more line is done.
    fn advance(&mut self, outputs: &mut Outputs<'_>) -> anyhow::Result<()> {
        Ok(self.progress.reach(self.summary.lines(), outputs.err)?)
    }
}

/// The reason for which an import ends that a signal stops.
pub(super) fn stopped_by(signal: &str) -> anyhow::Error {
    anyhow!("{signal} stopped the import: run it again, and it goes on")
}

/// Lines as they are read by a thread of their own: a pipe may make its reader wait.
fn read_ahead(mut lines: Lines<impl BufRead + Send + 'static>) -> mpsc::Receiver<io::Result<Line>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || {
        while let Some(line) = lines.read().transpose() {
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                break;
            }
        }
    });
    receiver
}

/// Returns when the pause is over by business time.
async fn pause_ends(ports: &Ports, end: Option<OffsetDateTime>) {
    while end.is_some_and(|end| ports.clock.now() < end) {
        sleep(PAUSE_POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests;
