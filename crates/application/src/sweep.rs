//! Tidies up after links: tokens that nobody came back for, states and attempts long past.

use std::sync::Arc;

use ig_domain::ports::{Clock, LinkAttempts, StoreError};

/// How many rows of each kind one round touches at most, so that it never holds the store for long.
const ROUND: u64 = 500;

/// Tidies up.
pub struct Sweep {
    /// What is tidied.
    pub attempts: Arc<dyn LinkAttempts>,
    /// Business time.
    pub clock: Arc<dyn Clock>,
}

impl Sweep {
    /// One round; returns how many rows it touched.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn execute(&self) -> Result<u64, StoreError> {
        self.attempts.sweep(self.clock.now(), ROUND).await
    }
}
