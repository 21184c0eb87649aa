//! Commits how far a named consumer has got.

use std::sync::Arc;

use ig_domain::EventPosition;
use ig_domain::ports::{ConsumerKey, Consumers, EventLog, StoreError};

use super::Watch;

/// Commits the cursor of a consumer.
pub struct CommitWatch {
    /// The log of events.
    pub log: Arc<dyn EventLog>,
    /// Its consumers.
    pub consumers: Arc<dyn Consumers>,
}

/// The cursor was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitWatchError {
    /// The cursor is of another log, or an event behind it is gone.
    #[error("the cursor has expired")]
    CursorExpired,
    /// The caller has as many other consumers as it may have.
    #[error("the caller has too many consumers")]
    TooManyConsumers,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommitWatch {
    /// Commits over the ports of `watch`.
    #[must_use]
    pub fn new(watch: &Watch) -> Self {
        Self { log: watch.ports.log.clone(), consumers: watch.ports.consumers.clone() }
    }

    /// Commits all up to `position`. An older position than the committed one changes nothing.
    ///
    /// # Errors
    ///
    /// Every [`CommitWatchError`].
    pub async fn execute(
        &self,
        key: &ConsumerKey,
        position: &EventPosition,
    ) -> Result<(), CommitWatchError> {
        if !self.log.look(Some(position)).await?.holds {
            return Err(CommitWatchError::CursorExpired);
        }
        let committed = self.consumers.commit(key, position).await?;
        committed.then_some(()).ok_or(CommitWatchError::TooManyConsumers)
    }
}
