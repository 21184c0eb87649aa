//! Usage of Instagram's limits, from headers that may be missing or broken.

use std::sync::atomic::{AtomicU32, Ordering};

use ig_metrics::Gauge;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Usage by the whole app: an object of figures.
///
/// Source: <https://developers.facebook.com/docs/graph-api/overview/rate-limiting>.
pub(super) const APP_USAGE: &str = "x-app-usage";

/// Usage by business account: arrays of objects of figures, by id.
///
/// Source: <https://developers.facebook.com/docs/graph-api/overview/rate-limiting>.
pub(super) const BUSINESS_USE_CASE_USAGE: &str = "x-business-use-case-usage";

/// Figures in per cent of a limit. The last two are undocumented, and what graph.instagram.com sends at times.
const FIGURES: [&str; 5] = ["call_count", "total_time", "total_cputime", "call_volume", "cpu_time"];

/// Highest figure of the last answer that stated one. Starts with none.
pub(super) struct Usage {
    percent: AtomicU32,
    shown: Gauge,
}

impl Usage {
    const NONE: u32 = u32::MAX;

    /// None yet; what is stated is also `shown`.
    pub(super) fn new(shown: Gauge) -> Self {
        Self { percent: AtomicU32::new(Self::NONE), shown }
    }

    /// Takes over what an answer states, if anything.
    pub(super) fn update(&self, headers: &HeaderMap) {
        if let Some(percent) = percent(headers) {
            self.percent.store(percent.into(), Ordering::Relaxed);
            self.shown.set(percent.into());
        }
    }

    /// The figure in per cent; `None` before one was stated.
    pub(super) fn percent(&self) -> Option<u16> {
        u16::try_from(self.percent.load(Ordering::Relaxed)).ok()
    }
}

/// Highest figure of both headers.
pub(super) fn percent(headers: &HeaderMap) -> Option<u16> {
    let json =
        |name| -> Option<Value> { serde_json::from_slice(headers.get(name)?.as_bytes()).ok() };
    let of_app = json(APP_USAGE);
    let of_accounts = json(BUSINESS_USE_CASE_USAGE);
    let of_accounts =
        of_accounts.iter().filter_map(Value::as_object).flat_map(|by_id| by_id.values());
    let entries = of_accounts.filter_map(Value::as_array).flatten();
    let figures = of_app
        .iter()
        .chain(entries)
        .flat_map(|entry| FIGURES.iter().filter_map(|figure| entry.get(figure)?.as_f64()));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
    let figures = figures.map(|figure| figure.clamp(0.0, f64::from(u16::MAX)) as u16);
    figures.max()
}

#[cfg(test)]
mod tests {
    use ig_metrics::Registry;
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn headers(app: Option<&str>, accounts: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(APP_USAGE, app), (BUSINESS_USE_CASE_USAGE, accounts)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        headers
    }

    #[rstest]
    #[case::none(None, None, None)]
    #[case::documented(
        Some(r#"{"call_count":28,"total_time":25,"total_cputime":31}"#),
        None,
        Some(31)
    )]
    #[case::live(Some(r#"{"call_volume":98,"cpu_time":2}"#), None, Some(98))]
    #[case::accounts(
        None,
        Some(
            r#"{"1":[{"type":"instagram","call_count":9,"total_cputime":85,"total_time":1}],"2":[{"call_count":3}]}"#
        ),
        Some(85)
    )]
    #[case::both(Some(r#"{"call_count":80}"#), Some(r#"{"1":[{"call_count":70}]}"#), Some(80))]
    #[case::fraction(Some(r#"{"call_count":80.9}"#), None, Some(80))]
    #[case::beyond_the_limit(Some(r#"{"call_count":1e9}"#), None, Some(65535))]
    #[case::negative(Some(r#"{"call_count":-3}"#), None, Some(0))]
    #[case::broken(Some("{\"call_count\":"), Some("[]"), None)]
    fn the_highest_figure_counts(
        #[case] app: Option<&str>,
        #[case] accounts: Option<&str>,
        #[case] expected: Option<u16>,
    ) {
        assert_eq!(percent(&headers(app, accounts)), expected);
    }

    #[test]
    fn an_answer_that_states_nothing_changes_nothing() {
        let shown = Gauge::register(&mut Registry::new("test", "1"), "usage_percent", "usage");
        let usage = Usage::new(shown.clone());
        assert_eq!(usage.percent(), None);
        usage.update(&headers(Some(r#"{"call_count":81}"#), None));
        usage.update(&headers(None, None));
        assert_eq!(usage.percent(), Some(81));
        usage.update(&headers(Some(r#"{"call_count":5}"#), None));
        assert_eq!((usage.percent(), shown.get()), (Some(5), 5));
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(app in "[ -~]{0,80}", accounts in "[ -~]{0,80}") {
            let _ = percent(&headers(Some(&app), Some(&accounts)));
        }
    }
}
