//! What became of the lines of a file.

use std::collections::BTreeMap;
use std::fmt;

use ig_application::ImportOutcome;

use super::refusal::is_final;

/// The name of an outcome in the result.
pub(super) fn outcome_name(outcome: ImportOutcome) -> &'static str {
    match outcome {
        ImportOutcome::Created => "CREATED",
        ImportOutcome::Replaced => "REPLACED",
        ImportOutcome::Unchanged => "UNCHANGED",
    }
}

fn is_imported(outcome: &str) -> bool {
    let all = [ImportOutcome::Created, ImportOutcome::Replaced, ImportOutcome::Unchanged];
    all.into_iter().any(|one| outcome_name(one) == outcome)
}

/// Whether a line with this outcome or reason in the result is done.
pub(super) fn is_done(outcome: &str) -> bool {
    is_imported(outcome) || is_final(outcome)
}

/// Number of lines by what became of them.
#[derive(Debug, Default)]
pub(super) struct Summary {
    by_outcome: BTreeMap<String, u64>,
    skipped: u64,
}

impl Summary {
    /// Counts a line that was tried.
    pub(super) fn count(&mut self, outcome: &str) {
        *self.by_outcome.entry(outcome.to_owned()).or_default() += 1;
    }

    /// Counts a line that was done before.
    pub(super) fn count_done_before(&mut self, outcome: &str) {
        self.skipped += 1;
        self.count(outcome);
    }

    /// Number of lines.
    pub(super) fn lines(&self) -> u64 {
        self.by_outcome.values().sum()
    }

    /// Number of lines that are not imported.
    pub(super) fn bad(&self) -> u64 {
        let bad = self.by_outcome.iter().filter(|(outcome, _)| !is_imported(outcome));
        bad.map(|(_, number)| number).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lines, bad, skipped) = (self.lines(), self.bad(), self.skipped);
        write!(formatter, "lines: {lines}, imported: {}, bad: {bad}", lines - bad)?;
        writeln!(formatter, " (done before: {skipped})")?;
        for (outcome, number) in &self.by_outcome {
            writeln!(formatter, "  {outcome}: {number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_summed_up_by_what_became_of_them() {
        let mut summary = Summary::default();
        for outcome in ["CREATED", "UNCHANGED", "TOKEN_REJECTED", "CREATED"] {
            summary.count(outcome);
        }
        summary.count_done_before("REPLACED");
        assert_eq!((summary.lines(), summary.bad()), (5, 1));
        let expected = "lines: 5, imported: 4, bad: 1 (done before: 1)\n  CREATED: 2\n  \
                        REPLACED: 1\n  TOKEN_REJECTED: 1\n  UNCHANGED: 1\n";
        assert_eq!(summary.to_string(), expected);
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for outcome in ["CREATED", "REPLACED", "UNCHANGED", "TOKEN_REJECTED"] {
            assert!(is_done(outcome), "{outcome}");
        }
        for reason in ["TOKEN_REJECTED/CHECKPOINT", "PERSONAL_ACCOUNT", "INSTAGRAM_UNAVAILABLE"] {
            assert!(!is_done(reason), "{reason}");
        }
    }
}
