//! Deadlines of calls.

use std::time::Duration;

use http::HeaderMap;
use tonic::Status;

use super::rpc::Rpc;
use crate::status::{Problem, Reason};

/// Deadline of a call whose caller names none.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// Maximum deadline, whatever a caller names. Ours.
const MAX_DEADLINE: Duration = Duration::from_mins(5);

/// Maximum deadline of a call that needs no caller; of a stream, up to its first answer. Ours.
const MAX_DEADLINE_WITHOUT_CALLER: Duration = Duration::from_secs(10);

/// The caller's deadline, or [`DEFAULT_DEADLINE`] where it names none that can be read.
pub(super) fn limit(headers: &HeaderMap, rpc: Rpc) -> Duration {
    let named = headers.get("grpc-timeout").and_then(|value| parse(value.to_str().ok()?));
    let limit = named.map_or(DEFAULT_DEADLINE, |named| named.min(MAX_DEADLINE));
    if rpc.roles().is_some() { limit } else { limit.min(MAX_DEADLINE_WITHOUT_CALLER) }
}

/// Reads at most eight digits and a unit.
///
/// Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
fn parse(raw: &str) -> Option<Duration> {
    let (digits, unit) = raw.split_at_checked(raw.len().checked_sub(1)?)?;
    let sound = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| sound)?;
    match unit {
        "H" => Some(Duration::from_secs(count * 60 * 60)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// The status of a call whose deadline passed after `limit`.
pub(super) fn exceeded(limit: Duration) -> Status {
    let message = format!(
        "no answer within {limit:?}; what was begun goes on: make the same call again to join it"
    );
    Problem::new(Reason::DeadlineExceeded, message).into_status()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn limit_of(raw: &str) -> Duration {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", raw.parse().unwrap());
        limit(&headers, Rpc::Get)
    }

    #[rstest]
    #[case::hours("1H", MAX_DEADLINE)]
    #[case::minutes("2M", Duration::from_mins(2))]
    #[case::seconds("45S", Duration::from_secs(45))]
    #[case::milliseconds("1500m", Duration::from_millis(1500))]
    #[case::microseconds("7u", Duration::from_micros(7))]
    #[case::nanoseconds("7n", Duration::from_nanos(7))]
    #[case::the_most_digits("99999999H", MAX_DEADLINE)]
    #[case::too_many_digits("100000000n", DEFAULT_DEADLINE)]
    #[case::no_digits("S", DEFAULT_DEADLINE)]
    #[case::a_sign("+1S", DEFAULT_DEADLINE)]
    #[case::no_unit("12", DEFAULT_DEADLINE)]
    #[case::nothing("", DEFAULT_DEADLINE)]
    fn a_deadline_is_read_or_the_usual_one_holds(#[case] raw: &str, #[case] expected: Duration) {
        assert_eq!(limit_of(raw), expected);
    }

    #[test]
    fn a_call_that_needs_no_caller_has_less_time() {
        let mut headers = HeaderMap::new();
        assert_eq!(limit(&headers, Rpc::Other), MAX_DEADLINE_WITHOUT_CALLER);
        headers.insert("grpc-timeout", "1S".parse().unwrap());
        assert_eq!(limit(&headers, Rpc::Other), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn no_deadline_is_longer_than_the_longest(raw in "[ -~]{0,12}") {
            prop_assert!(limit_of(&raw) <= MAX_DEADLINE);
        }
    }
}
