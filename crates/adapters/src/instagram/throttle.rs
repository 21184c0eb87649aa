//! Pause once Instagram throttles: read from headers that may be missing or broken.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::usage::BUSINESS_USE_CASE_USAGE;

/// Pause where Instagram names no time: a guess, short enough to notice soon that access is back, long enough not to
/// prolong the throttling by asking.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_mins(1);

/// Bounds of a pause that is believed. Ours.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// The pause that an answer asks for: `Retry-After` in seconds, else the longest of the usage header, else
/// a minute; from one second to 24 hours.
pub(super) fn retry_after(headers: &HeaderMap) -> Duration {
    let stated = stated_seconds(headers).or_else(|| time_to_regain_access(headers));
    stated.unwrap_or(DEFAULT_RETRY_AFTER).clamp(MIN_RETRY_AFTER, MAX_RETRY_AFTER)
}

/// `Retry-After`, where it is a number. Its other form, a date, has not been seen from Instagram.
fn stated_seconds(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The longest `estimated_time_to_regain_access`. Zero minutes do not mean that access is back.
fn time_to_regain_access(headers: &HeaderMap) -> Option<Duration> {
    let usage = headers.get(BUSINESS_USE_CASE_USAGE)?;
    let usage: Value = serde_json::from_slice(usage.as_bytes()).ok()?;
    let entries = usage.as_object()?.values().filter_map(Value::as_array).flatten();
    let minutes =
        entries.filter_map(|entry| entry.get("estimated_time_to_regain_access")?.as_u64());
    let longest = minutes.max().filter(|minutes| *minutes > 0)?;
    Some(Duration::from_secs(longest.saturating_mul(60)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn headers(retry_after: Option<&str>, usage: Option<&[u8]>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        if let Some(value) = usage {
            headers.insert(BUSINESS_USE_CASE_USAGE, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[rstest]
    #[case::nothing_stated(None, None, 60)]
    #[case::seconds(Some("120"), None, 120)]
    #[case::no_pause(Some("0"), None, 1)]
    #[case::absurd_pause(Some("18446744073709551615"), None, 86_400)]
    #[case::date(Some("Wed, 21 Oct 2026 07:28:00 GMT"), None, 60)]
    #[case::negative(Some("-1"), None, 60)]
    #[case::minutes(
        None,
        Some(r#"{"17":[{"type":"instagram","estimated_time_to_regain_access":7}]}"#),
        420
    )]
    #[case::two_accounts(
        None,
        Some(r#"{"1":[{"estimated_time_to_regain_access":2}],"2":[{"estimated_time_to_regain_access":3}]}"#),
        180
    )]
    #[case::zero_minutes(None, Some(r#"{"17":[{"estimated_time_to_regain_access":0}]}"#), 60)]
    #[case::absurd_minutes(
        None,
        Some(r#"{"17":[{"estimated_time_to_regain_access":18446744073709551615}]}"#),
        86_400
    )]
    #[case::app_usage_spelling(None, Some(r#"{"call_volume":98,"cpu_time":2}"#), 60)]
    #[case::broken(None, Some("{\"17\":[{"), 60)]
    #[case::seconds_outrank_minutes(
        Some("5"),
        Some(r#"{"17":[{"estimated_time_to_regain_access":7}]}"#),
        5
    )]
    fn the_pause_is_what_instagram_says_within_bounds(
        #[case] retry_after: Option<&str>,
        #[case] usage: Option<&str>,
        #[case] seconds: u64,
    ) {
        let headers = headers(retry_after, usage.map(str::as_bytes));
        assert_eq!(super::retry_after(&headers), Duration::from_secs(seconds));
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(retry_after in "[ -~]{0,40}", usage in "[ -~]{0,200}") {
            let pause = super::retry_after(&headers(Some(&retry_after), Some(usage.as_bytes())));
            prop_assert!((MIN_RETRY_AFTER..=MAX_RETRY_AFTER).contains(&pause));
        }
    }
}
