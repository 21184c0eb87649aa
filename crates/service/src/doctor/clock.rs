//! Check of the machine's clock, by the time that Instagram tells with an answer.

use std::time::Duration;

use ig_adapters::system::SystemClock;
use ig_domain::ports::Clock as _;
use time::OffsetDateTime;

use super::Finding;
use crate::config::Problem;

/// Differences from which on the clock is suspicious and wrong. Ours: an answer takes up to 5 seconds, and tells whole
/// ones.
const SUSPICIOUS_SKEW: Duration = Duration::from_secs(30);
const WRONG_SKEW: Duration = Duration::from_mins(5);

/// Compares the clock with Instagram's, which was at `told` a moment ago.
pub(super) fn examine(told: OffsetDateTime) -> Option<Finding> {
    judge(SystemClock.now(), told)
}

fn judge(now: OffsetDateTime, told: OffsetDateTime) -> Option<Finding> {
    let skew = Duration::from_secs((now - told).whole_seconds().unsigned_abs());
    let problem = || {
        let direction = if now < told { "behind" } else { "ahead of" };
        let skew = humantime::format_duration(skew);
        Problem::of_clock(&format_args!(
            "of this machine is {skew} {direction} Instagram's, by which tokens end and requests are dated: let it \
             follow a time server (NTP)"
        ))
    };
    match skew {
        _ if skew >= WRONG_SKEW => Some(Finding::Error(problem().into())),
        _ if skew >= SUSPICIOUS_SKEW => Some(Finding::Warning(problem())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::same(0, "")]
    #[case::late_answer(29, "")]
    #[case::ahead(30, "clock (warning) of this machine is 30s ahead of Instagram's")]
    #[case::behind(-299, "clock (warning) of this machine is 4m 59s behind Instagram's")]
    #[case::far_ahead(300, "clock (error) of this machine is 5m ahead of Instagram's")]
    #[case::far_behind(-7200, "clock (error) of this machine is 2h behind Instagram's")]
    fn a_clock_that_differs_is_told(#[case] seconds: i64, #[case] begins: &str) {
        let told = OffsetDateTime::UNIX_EPOCH;
        let found = judge(told + time::Duration::seconds(seconds), told);
        let line = match found {
            Some(Finding::Error(invalid)) => invalid.into_parts().0.remove(0).marked("error"),
            Some(Finding::Warning(problem)) => problem.marked("warning"),
            None => String::new(),
        };
        assert!(line.starts_with(begins) && line.is_empty() == begins.is_empty(), "{line}");
    }
}
