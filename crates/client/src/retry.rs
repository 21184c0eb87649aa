//! Retries: which refusals pass by themselves, how often a call is made, and how long it waits between two tries.
//!
//! The numbers are those of `service_config.json`, by which gRPC libraries of other languages do the same.

use std::time::Duration;

use backon::ExponentialBuilder;
use tokio::time::Instant;
use tonic::Code;

use crate::refusal::{Reason, Refusal};

/// Maximum number of tries of a call.
const MAX_ATTEMPTS: usize = 5;

/// Delay before the second try; a random part of it, up to all of it, is added.
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);

/// Factor from one delay to the next.
const BACKOFF_MULTIPLIER: f32 = 3.0;

/// Maximum of the delay, without what is added.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Timeout of a call that may ask Instagram, with its retries and the waits between them.
pub(crate) const INSTAGRAM_TIMEOUT: Duration = Duration::from_secs(30);

/// Timeout of a call that never asks Instagram. The service lets reads of many accounts wait for up to 10 seconds.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(15);

/// Delays without an end.
pub(crate) const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(INITIAL_BACKOFF)
    .with_factor(BACKOFF_MULTIPLIER)
    .with_max_delay(MAX_BACKOFF)
    .without_max_times()
    .with_jitter();

/// Delays between the tries of one call.
pub(crate) const CALL_BACKOFF: ExponentialBuilder = BACKOFF.with_max_times(MAX_ATTEMPTS - 1);

/// Whether the same call may be answered in a moment. Every call may be repeated.
///
/// What carries no reason is not the service's own word: a connection that broke, or a proxy. gRPC's other libraries
/// call that UNAVAILABLE, tonic by several names.
pub(crate) fn is_passing(refusal: &Refusal) -> bool {
    match refusal.code() {
        Code::Unavailable => true,
        Code::ResourceExhausted => refusal.reason() == Some(&Reason::Overloaded),
        Code::Unknown | Code::Internal | Code::Cancelled => refusal.reason().is_none(),
        _ => false,
    }
}

/// Delay before the next try: at least what the service asks for. `None` where no time is left after it.
pub(crate) fn delay_within(
    deadline: Instant,
    refusal: &Refusal,
    backoff: Option<Duration>,
) -> Option<Duration> {
    let delay = backoff?.max(refusal.retry_delay().unwrap_or_default());
    (delay < deadline.saturating_duration_since(Instant::now())).then_some(delay)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::client::TIMEOUTS;

    const FILE: &str = include_str!("../../../proto/instagram/accounts/v1/service_config.json");

    /// The entry of the service config that counts for this method.
    fn entry<'a>(config: &'a Value, method: &str) -> &'a Value {
        let entries = || config["methodConfig"].as_array().unwrap().iter();
        let listed = |entry: &'a Value| entry["name"].as_array().unwrap().iter();
        let named = |wanted: Option<&str>| {
            entries().find(|entry| listed(entry).any(|name| name["method"].as_str() == wanted))
        };
        named(Some(method)).or_else(|| named(None)).expect("an entry for all other methods")
    }

    #[test]
    fn the_service_config_has_the_same_numbers_for_every_method() {
        let config: Value = serde_json::from_str(FILE).unwrap();
        let seconds = |value: &Value| {
            let text = value.as_str().unwrap().strip_suffix('s').unwrap();
            Duration::from_secs_f64(text.parse().unwrap())
        };
        for rpc in ig_proto::RPCS {
            let entry = entry(&config, rpc);
            let Some((_, timeout)) = TIMEOUTS.iter().find(|(name, _)| name == rpc) else {
                assert_eq!(*rpc, "Watch", "it has no method here");
                assert_eq!(
                    (&entry["timeout"], &entry["retryPolicy"]),
                    (&Value::Null, &Value::Null)
                );
                continue;
            };
            assert_eq!(seconds(&entry["timeout"]), *timeout, "{rpc}");
            let policy = &entry["retryPolicy"];
            assert_eq!(policy["maxAttempts"], MAX_ATTEMPTS);
            assert_eq!(seconds(&policy["initialBackoff"]), INITIAL_BACKOFF);
            assert_eq!(seconds(&policy["maxBackoff"]), MAX_BACKOFF);
            assert_eq!(policy["backoffMultiplier"].as_f64(), Some(f64::from(BACKOFF_MULTIPLIER)));
            assert_eq!(policy["retryableStatusCodes"], serde_json::json!(["UNAVAILABLE"]));
        }
    }

    #[test]
    fn the_service_config_names_no_method_that_there_is_not() {
        let config: Value = serde_json::from_str(FILE).unwrap();
        let entries = config["methodConfig"].as_array().unwrap().iter();
        let names = entries.flat_map(|entry| entry["name"].as_array().unwrap());
        let rpcs: BTreeSet<_> = ig_proto::RPCS.iter().copied().collect();
        for name in names {
            assert_eq!(name["service"], "instagram.accounts.v1.InstagramAccountService");
            let method = name.get("method").map(|method| method.as_str().unwrap());
            assert!(method.is_none_or(|method| rpcs.contains(method)), "{method:?}");
        }
    }
}
