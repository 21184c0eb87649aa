//! Sweep: ends links that nobody came back for, and deletes rows that are long past.

use std::sync::Arc;

use ig_domain::ports::{Clock, LinkAttempts, StoreError};

use crate::Ports;

/// Maximum number of rows of each kind that one round touches, so that it never holds the store for long.
const MAX_ROUND_ROWS: u64 = 500;

/// Sweeps the store.
pub struct Sweep {
    /// Store of the attempts to end and delete.
    pub attempts: Arc<dyn LinkAttempts>,
    /// Business time.
    pub clock: Arc<dyn Clock>,
}

impl Sweep {
    /// Sweeps over `ports`.
    #[must_use]
    pub fn new(ports: &Ports) -> Self {
        Self { attempts: ports.store.link_attempts.clone(), clock: ports.clock.clone() }
    }

    /// Runs one round; returns the number of rows touched.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn execute_round(&self) -> Result<u64, StoreError> {
        self.attempts.sweep(self.clock.now(), MAX_ROUND_ROWS).await
    }
}
