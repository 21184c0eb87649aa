//! Purge: deletes events that are older than the window.

use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{EventLog, StoreError};

use super::Watch;

/// Maximum number of events that one round deletes, so that it never holds the store for long.
const MAX_ROUND_EVENTS: u64 = 500;

/// Purges the log of events.
pub struct PurgeEvents {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Time for which events are kept.
    pub window: Duration,
}

impl PurgeEvents {
    /// Purges the log of `watch`.
    #[must_use]
    pub fn new(watch: &Watch) -> Self {
        Self { log: watch.ports.log.clone(), window: watch.window }
    }

    /// Runs one round; returns the number of events deleted. Another round follows while it is not 0.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn execute_round(&self) -> Result<u64, StoreError> {
        self.log.purge(self.window, MAX_ROUND_EVENTS).await
    }
}
