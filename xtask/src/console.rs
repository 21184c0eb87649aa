//! Output for a person: results on standard output, progress on standard error.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Prints a result. A reader that went away is no error.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Prints what goes on.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A step that takes a while: a spinner on a terminal, a plain line elsewhere.
pub(crate) struct Step {
    name: String,
    started: Instant,
    spinner: Option<ProgressBar>,
}

impl Step {
    /// Shows that the step begins.
    pub(crate) fn begin(name: impl Into<String>) -> Self {
        let name = name.into();
        let spinner = std::io::stderr().is_terminal().then(|| {
            let spinner = ProgressBar::new_spinner().with_message(name.clone());
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        if spinner.is_none() {
            note(format_args!("{name} ..."));
        }
        Self { name, started: Instant::now(), spinner }
    }

    /// Shows that the step is done, and how long it took.
    pub(crate) fn done(self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        note(format_args!("{}: done in {}", self.name, seconds(self.started.elapsed())));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// Progress of many equal pieces of work: a bar on a terminal, nothing elsewhere.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins at none of `count`.
    pub(crate) fn begin(name: &'static str, count: u64) -> Self {
        let template = "{wide_bar} {human_pos}/{human_len} {msg}, {eta} left";
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(count).with_message(name)
        } else {
            ProgressBar::hidden()
        };
        // Every template of ours is well formed; the usual one would serve as well.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Counts `count` more pieces as done.
    pub(crate) fn advance(&self, count: u64) {
        self.0.inc(count);
    }

    /// Prints a result above the bar.
    pub(crate) fn say(&self, line: impl Display) {
        self.0.suspend(|| say(line));
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}

/// A span for people: `0.4 s`, `2 min 07 s`.
pub(crate) fn seconds(span: Duration) -> String {
    match span.as_secs() {
        0..60 => format!("{:.1} s", span.as_secs_f64()),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::less_than_a_second(440, "0.4 s")]
    #[case::below_a_minute(59_949, "59.9 s")]
    #[case::minutes(127_900, "2 min 07 s")]
    fn spans_read_like_speech(#[case] milliseconds: u64, #[case] expected: &str) {
        assert_eq!(seconds(Duration::from_millis(milliseconds)), expected);
    }
}
