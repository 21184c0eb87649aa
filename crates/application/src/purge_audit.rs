//! Purge of the audit: deletes entries that are older than the window.

use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{AuditLog, Clock, StoreError};

use crate::Ports;

/// Maximum number of entries that one round deletes, so that it never holds the store for long.
const MAX_ROUND_ENTRIES: u64 = 500;

/// Purges the audit.
pub struct PurgeAudit {
    /// The audit.
    pub audit: Arc<dyn AuditLog>,
    /// Business time, by which entries are dated.
    pub clock: Arc<dyn Clock>,
    /// Time for which entries are kept.
    pub window: Duration,
}

impl PurgeAudit {
    /// Purges over `ports`.
    #[must_use]
    pub fn new(ports: &Ports, window: Duration) -> Self {
        Self { audit: ports.store.audit.clone(), clock: ports.clock.clone(), window }
    }

    /// Runs one round; returns the number of entries deleted. Another round follows while it is not 0.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn execute_round(&self) -> Result<u64, StoreError> {
        let begin = self.clock.now() - self.window;
        self.audit.purge_before(begin, MAX_ROUND_ENTRIES).await
    }
}
