//! The sandbox's own time: the real one plus an offset that the control interface moves.

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::macros::{datetime, format_description};
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

/// The earliest and latest time the clock can be set to: far from the ends of what the type holds.
const RANGE: (OffsetDateTime, OffsetDateTime) =
    (datetime!(2000-01-01 0:00 UTC), datetime!(2900-01-01 0:00 UTC));

/// Maximum time for which a reader waits for a change: less than a client waits for an answer.
const MAX_CHANGE_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// Real time plus an offset.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset: Duration,
    changes: watch::Sender<u64>,
}

/// The clock as the control interface shows it.
#[derive(Debug, Serialize)]
pub(crate) struct ClockReading {
    now: String,
    /// Number of changes since the start.
    changes: u64,
}

/// Change of the clock by the control interface: exactly one of the two.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockChange {
    now: Option<String>,
    advance_seconds: Option<i64>,
}

impl Clock {
    /// The sandbox's present, in UTC.
    pub(crate) fn now(&self) -> OffsetDateTime {
        real_now().saturating_add(self.offset)
    }

    pub(crate) fn reading(&self) -> ClockReading {
        ClockReading { now: rfc3339(self.now()), changes: *self.changes.borrow() }
    }

    /// Follows the number of changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Sets or advances the clock; a refusal leaves it as it was and says what is wrong.
    pub(crate) fn change(&mut self, change: &ClockChange) -> Result<(), String> {
        let target = match (&change.now, change.advance_seconds) {
            (Some(text), None) => OffsetDateTime::parse(text, &Rfc3339)
                .map_err(|error| format!("`now` is no RFC 3339 time: {error}"))?,
            (None, Some(seconds)) => self.now().saturating_add(Duration::seconds(seconds)),
            _ => return Err("send either `now` or `advance_seconds`".to_owned()),
        };
        if target < RANGE.0 || target > RANGE.1 {
            return Err("the clock can be set to the years 2000 to 2899".to_owned());
        }
        self.offset = target - real_now();
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }
}

/// Waits until the number of changes is another than `seen`, for a second at most.
pub(crate) async fn wait_for_change(mut changes: watch::Receiver<u64>, seen: u64) {
    let another = changes.wait_for(|number| *number != seen);
    let _ = tokio::time::timeout(MAX_CHANGE_WAIT, another).await;
}

/// A time as RFC 3339 in UTC, always with six sub-second digits.
pub(crate) fn rfc3339(time: OffsetDateTime) -> String {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    time.to_utc().format(&form).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "this is the sandbox's only reading of real time")]
fn real_now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn change(json: &str) -> Result<Clock, String> {
        let mut clock = Clock::default();
        clock.change(&serde_json::from_str(json).unwrap()).map(|()| clock)
    }

    #[test]
    fn a_clock_that_was_set_runs_on_from_there() {
        let clock = change(r#"{"now":"2031-05-06T07:08:09+02:00"}"#).unwrap();
        let passed = clock.now() - datetime!(2031-05-06 5:08:09 UTC);
        assert!((Duration::ZERO..Duration::seconds(60)).contains(&passed), "{passed}");
        assert!(rfc3339(clock.now()).starts_with("2031-05-06T05:0"));
    }

    #[test]
    fn advancing_adds_to_the_present() {
        let clock = change(r#"{"advance_seconds":86400}"#).unwrap();
        let ahead = clock.now() - real_now();
        assert!((ahead - Duration::DAY).abs() < Duration::SECOND, "{ahead}");
    }

    #[rstest]
    #[case::neither("{}", "either")]
    #[case::both(r#"{"now":"2031-05-06T07:08:09Z","advance_seconds":1}"#, "either")]
    #[case::not_a_time(r#"{"now":"tomorrow"}"#, "RFC 3339")]
    #[case::too_far(r#"{"advance_seconds":9223372036854775807}"#, "2899")]
    #[case::too_early(r#"{"advance_seconds":-9223372036854775808}"#, "2000")]
    fn a_senseless_change_is_refused(#[case] json: &str, #[case] text: &str) {
        assert!(change(json).unwrap_err().contains(text));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_for_a_change_ends_with_it_or_after_a_second() {
        let mut clock = Clock::default();
        let begun = tokio::time::Instant::now();
        wait_for_change(clock.changes(), 0).await;
        assert_eq!(begun.elapsed(), MAX_CHANGE_WAIT);
        wait_for_change(clock.changes(), 7).await;
        let waiting = tokio::spawn(wait_for_change(clock.changes(), 0));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.change(&serde_json::from_str(r#"{"advance_seconds":1}"#).unwrap()).unwrap();
        waiting.await.unwrap();
        assert_eq!(begun.elapsed(), MAX_CHANGE_WAIT);
    }

    #[test]
    fn a_full_second_still_shows_its_fraction() {
        assert_eq!(rfc3339(datetime!(2026-11-24 8:00 UTC)), "2026-11-24T08:00:00.000000Z");
    }
}
