//! The background task that names sealing keys which stored tokens need and nobody configured.

use std::sync::Arc;
use std::time::Duration;

use ig_adapters::sealing::KeyRing;
use ig_domain::ports::{KeyChecks, StoreError};
use ig_metrics::{Gauge, Registry};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

use crate::keys::Keys;

/// Interval between two looks for the keys that are in use. They change with a rollout of keys.
const MISSING_KEYS_INTERVAL: Duration = Duration::from_hours(1);

/// Interval until the next look after the store failed.
const RETRY_INTERVAL: Duration = Duration::from_mins(1);

/// Makes the gauge of missing keys, at zero.
pub(crate) fn register(registry: &mut Registry) -> Gauge {
    let help = "Sealing keys that stored tokens need and that are not configured";
    Gauge::register(registry, "sealing_keys_missing", help)
}

/// Looks for keys that are in use and not configured.
pub(crate) struct MissingKeys {
    /// The configured keys.
    pub(crate) keys: Arc<Keys>,
    /// Store that tells the keys under which tokens are sealed.
    pub(crate) store: Arc<dyn KeyChecks>,
    /// Number of missing keys.
    pub(crate) gauge: Gauge,
}

impl MissingKeys {
    /// Names missing keys now, and each hour where others are missing than before, until dropped.
    pub(crate) async fn follow(self) -> ! {
        let mut hours = interval(MISSING_KEYS_INTERVAL);
        hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut named = Vec::new();
        loop {
            hours.tick().await;
            match self.look().await {
                Ok(missing) if missing == named => {}
                Ok(missing) => {
                    warn_of_missing(&missing);
                    named = missing;
                }
                Err(error) => {
                    debug!(%error, "the keys that are in use cannot be looked up");
                    hours.reset_after(RETRY_INTERVAL);
                }
            }
        }
    }

    async fn look(&self) -> Result<Vec<String>, StoreError> {
        let configured = self.keys.ring().map(KeyRing::ids).unwrap_or_default();
        let missing = self.store.in_use_except(&configured).await?;
        self.gauge.set(i64::try_from(missing.len()).unwrap_or(i64::MAX));
        Ok(missing)
    }
}

fn warn_of_missing(missing: &[String]) {
    if !missing.is_empty() {
        let keys = missing.join(",");
        warn!(
            keys,
            "stored tokens are sealed under keys that are not configured, and cannot be opened: put these keys behind the first one in TOKEN_KEYS"
        );
    }
}

#[cfg(test)]
mod tests {
    use ig_domain::ports::MockKeyChecks;

    use super::*;

    #[tokio::test]
    async fn missing_keys_are_counted_and_configured_ones_are_not() {
        let ring = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().unwrap();
        let mut store = MockKeyChecks::new();
        let configured = |known: &[String]| known == ["k1"];
        store.expect_in_use_except().withf(configured).returning(|_| Ok(vec!["k2".to_owned()]));
        let gauge = register(&mut Registry::new("test", "1"));
        let keys = Arc::new(Keys::new(Some(ring)));
        let missing = MissingKeys { keys, store: Arc::new(store), gauge: gauge.clone() };
        assert_eq!(missing.look().await.unwrap(), ["k2"]);
        assert_eq!(gauge.get(), 1);
    }
}
