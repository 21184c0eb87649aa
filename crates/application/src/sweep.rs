//! Tidies up: marks accounts that have expired, ends links that nobody came back for, forgets what is long past.

use std::sync::Arc;

use ig_domain::ports::{Accounts, Clock, LinkAttempts, StoreError};

/// How many rows of each kind one round touches at most, so that it never holds the store for long.
const ROUND: u64 = 500;

/// Tidies up.
pub struct Sweep {
    /// What is marked.
    pub accounts: Arc<dyn Accounts>,
    /// What is ended and forgotten.
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
        let now = self.clock.now();
        // Neither is left undone because the other fails.
        let marked = self.accounts.mark_expired(now, ROUND).await;
        let swept = self.attempts.sweep(now, ROUND).await;
        Ok(marked? + swept?)
    }
}
