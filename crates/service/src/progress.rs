//! Progress of a long command: a bar on a terminal, lines elsewhere.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::is_read_on;

/// Progress of many equal pieces of work.
pub(crate) struct Progress {
    /// Hidden where standard error is no terminal.
    bar: ProgressBar,
    done: u64,
    /// Number of pieces after which a line is written where there is no bar.
    line_interval: u64,
}

impl Progress {
    /// Begins work of `total` pieces, which `name` names; `None` where their number is not known. Without a bar, a line is
    /// written after each `line_interval` of them.
    pub(crate) fn begin(name: &'static str, total: Option<u64>, line_interval: u64) -> Self {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new).with_message(name);
        let style = match total {
            Some(_) => "{msg} [{wide_bar}] {human_pos}/{human_len} {per_sec}, {eta} left",
            None => "{msg} {spinner} {human_pos} {per_sec}",
        };
        // Only a template that is none is refused.
        let style = ProgressStyle::with_template(style);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, done: 0, line_interval }
    }

    /// Shows that `done` pieces are done; without a bar by a line to `out` now and then.
    ///
    /// # Errors
    ///
    /// When nothing can be written, but for a reader that has gone.
    pub(crate) fn reach(&mut self, done: u64, out: &mut dyn Write) -> io::Result<()> {
        self.bar.set_position(done);
        let before = std::mem::replace(&mut self.done, done);
        if self.bar.is_hidden() && before / self.line_interval < done / self.line_interval {
            let total = self.bar.length().map(|total| format!(" of {total}")).unwrap_or_default();
            is_read_on(writeln!(out, "{}: {done}{total}", self.bar.message()))?;
        }
        Ok(())
    }

    /// Writes a line to `out`, above the bar where there is one.
    ///
    /// # Errors
    ///
    /// When nothing can be written, but for a reader that has gone.
    pub(crate) fn say(&self, line: &str, out: &mut dyn Write) -> io::Result<()> {
        self.bar.suspend(|| is_read_on(writeln!(out, "{line}"))).map(drop)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_a_line_comes_now_and_then() {
        for (total, expected) in [
            (Some(25_000), "tokens: 10000 of 25000\ntokens: 20100 of 25000\n"),
            (None, "tokens: 10000\ntokens: 20100\n"),
        ] {
            let (mut progress, mut out) = (Progress::begin("tokens", total, 10_000), Vec::new());
            for done in [1, 9_999, 10_000, 10_001, 20_100, 25_000] {
                progress.reach(done, &mut out).unwrap();
            }
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_said_is_a_line() {
        let (progress, mut out) = (Progress::begin("tokens", None, 10), Vec::new());
        progress.say("line 7: bad", &mut out).unwrap();
        assert_eq!(out, b"line 7: bad\n");
    }
}
