//! The audit of tokens that were handed out.

use std::collections::HashSet;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::StoreError;
use crate::{AccountId, AuditEntry, AuditId, CallerName, Owner};

/// A query for audit entries, newest first, ties by descending id. Entries meet all conditions that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// Only tokens of this account.
    pub account: Option<AccountId>,
    /// Only tokens handed to this caller.
    pub caller: Option<CallerName>,
    /// Only tokens of accounts that were this owner's when they were handed out.
    pub owner: Option<Owner>,
    /// Only tokens handed out at this moment or later.
    pub since: Option<OffsetDateTime>,
    /// Begins behind the entry with this time and id; `None` at the newest.
    pub after: Option<(OffsetDateTime, AuditId)>,
    /// Maximum number of entries.
    pub limit: u64,
}

/// Maximum number of entries that are stored together. Ours: so many take milliseconds.
pub const MAX_RECORDED_ENTRIES: usize = 256;

/// Log of the tokens that were handed out. Entries outlive their accounts.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Stores the entries whose account still has the entry's revision, until they are purged; returns their ids. A
    /// token may leave only after this has returned its entry's. There are [`MAX_RECORDED_ENTRIES`] at most.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when there is one with the id of one of them, and then none is stored;
    /// [`StoreError::Unavailable`], and then they may have been stored all the same.
    async fn record(&self, entries: &[AuditEntry]) -> Result<HashSet<AuditId>, StoreError>;

    /// Deletes at most `limit` entries of tokens that were handed out before `time`, the oldest first. Returns how many;
    /// 0 also while another process deletes them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn purge_before(&self, time: OffsetDateTime, limit: u64) -> Result<u64, StoreError>;
}
