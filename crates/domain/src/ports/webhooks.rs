//! Storage of what comes by webhook.

use std::collections::HashMap;

use async_trait::async_trait;

use crate::ports::StoreError;
use crate::{ReceivedUpdate, WebhookPayload};

/// Numbers of updates by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredUpdates {
    /// Updates that were stored.
    pub stored: u64,
    /// Updates that were stored before.
    pub duplicates: u64,
    /// Updates of accounts that are not linked.
    pub unknown: u64,
    /// Updates that are not newer than the last deletion of their person's data.
    pub erased: u64,
}

/// Updates that came by webhook. Each is an event of its account, and its payload is read apart.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Stores the updates of accounts that are linked: each once, with its event, in their order, all or none.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `Conflict` and `LeaseLost`; nothing is stored then, or all of it.
    async fn store(&self, updates: &[ReceivedUpdate]) -> Result<StoredUpdates, StoreError>;

    /// Payloads of the events with these numbers. An event that is gone or erased is not among them. `None` stands for
    /// one that was too large to be stored, or that does not open.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `Conflict` and `LeaseLost`.
    async fn payloads(
        &self,
        numbers: &[i64],
    ) -> Result<HashMap<i64, Option<WebhookPayload>>, StoreError>;
}
