//! Survey of all accounts of an app, for those who look after the service.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::StoreError;
use crate::{InstagramAccount, TroubleCause};

/// Time for which a visit may be due before it is overdue. Ours: a keeper that comes through visits within seconds, and
/// a retry after a failure is due at a moment of its own.
pub const OVERDUE_AFTER: Duration = Duration::from_mins(15);

/// Numbers of all accounts of an app at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Moment at which the accounts were counted.
    pub time: OffsetDateTime,
    /// Accounts whose token lives.
    pub active: u64,
    /// Accounts whose person must consent again.
    pub reauthorization_required: u64,
    /// First expiry of an active account's token; `None` where no account is active.
    pub first_expire_time: Option<OffsetDateTime>,
    /// Accounts whose visit is due.
    pub due: u64,
    /// Accounts whose visit has been due for longer than [`OVERDUE_AFTER`].
    pub overdue: u64,
    /// Moment since which the longest due account is due; `None` where none is due.
    pub longest_due_time: Option<OffsetDateTime>,
    /// Accounts whose renewals fail, by cause. A cause without any account is left out.
    pub in_trouble: BTreeMap<TroubleCause, u64>,
    /// Accounts of other apps in the same store, which nobody visits for this one.
    pub of_other_apps: u64,
}

impl Survey {
    /// Time for which the longest due account had been due; zero where none was due.
    #[must_use]
    pub fn lag(&self) -> Duration {
        let lag = self.longest_due_time.map(|due| self.time - due);
        lag.and_then(|lag| lag.try_into().ok()).unwrap_or_default()
    }
}

/// An account that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorstAccount {
    /// The account.
    pub account: InstagramAccount,
    /// Moment of its next visit, as it is stored; `None` where nothing will be done for it.
    pub next_visit_time: Option<OffsetDateTime>,
}

/// Counts all accounts, and stores the last count for all replicas.
#[async_trait]
pub trait Surveys: Send + Sync {
    /// Counts all accounts as they are at `now`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn survey(&self, now: OffsetDateTime) -> Result<Survey, StoreError>;

    /// At most `limit` accounts with a living token whose renewals fail or whose visit is overdue at `now`, soonest
    /// expiry first. An account that cannot be read is left out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn worst(&self, now: OffsetDateTime, limit: u64)
    -> Result<Vec<WorstAccount>, StoreError>;

    /// Takes the turn to survey at `now`, unless somebody has taken it within `interval`. A turn that lies further
    /// ahead than `interval` is one of a clock that was set back, and counts as none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn take_turn(&self, now: OffsetDateTime, interval: Duration) -> Result<bool, StoreError>;

    /// Stores a survey in place of the last one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn keep(&self, survey: &Survey) -> Result<(), StoreError>;

    /// The last survey that was stored; `None` where none was, or none that can be read: the next takes its place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn last(&self) -> Result<Option<Survey>, StoreError>;
}
