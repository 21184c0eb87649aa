//! The store's side of the keeper: due accounts, results of visits, witnesses, and the app's breaker.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::StoreError;
use crate::{AccountId, InstagramAccount, LeaseHolder, LongLivedToken, TroubleCause};

/// A due account, whose renewal lease was claimed.
#[derive(Clone, Debug)]
pub struct ClaimedAccount {
    /// The account's id.
    pub id: AccountId,
    /// The account and its token, as for `find_with_token`; an error where the row cannot be read.
    pub found: Result<(InstagramAccount, Option<LongLivedToken>), StoreError>,
}

/// Result of a visit, as it shall be stored.
#[derive(Clone, Debug)]
pub struct VisitResult {
    /// The account that was visited.
    pub id: AccountId,
    /// Change of the account; `None` where it stays as it is.
    pub change: Option<VisitChange>,
}

impl VisitResult {
    /// Whether the visit renewed the token.
    #[must_use]
    pub fn renews(&self) -> bool {
        self.change.as_ref().is_some_and(|change| change.token.is_some())
    }
}

/// Change of an account by a visit.
#[derive(Clone, Debug)]
pub struct VisitChange {
    /// The account as it shall be stored.
    pub account: InstagramAccount,
    /// The stored revision that it follows.
    pub former_revision: i64,
    /// The stored moment of the last reading that it follows.
    pub former_profile_time: OffsetDateTime,
    /// The new token, where it was renewed.
    pub token: Option<LongLivedToken>,
}

/// Finds due accounts, makes each the work of one holder, and stores the results.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait DueAccounts: Send + Sync {
    /// Takes the renewal leases of at most `limit` accounts that are due at `now` and held by nobody: first those in
    /// the last [`URGENT_LIFETIME`](crate::URGENT_LIFETIME) of their token, by its expiry, then the longest due. An
    /// empty answer means that none could be taken now, and says nothing about how many are due.
    ///
    /// The cost grows with `limit`, not with what is stored or due.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn claim_due(
        &self,
        now: OffsetDateTime,
        holder: LeaseHolder,
        limit: u64,
    ) -> Result<Vec<ClaimedAccount>, StoreError>;

    /// Stores the results of visits in one transaction, each for itself, and releases the leases that their holders
    /// have. A change is stored only if the stored account is still as it was read; one without a new token also only
    /// if the holder was not replaced. Each writes its event. Returns the ids of the accounts whose change was not
    /// stored. A new token that was not stored keeps its lease: so nobody renews again until its holder has stored it on
    /// top of what others stored.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]: nothing was stored.
    async fn finish(
        &self,
        results: &[(LeaseHolder, VisitResult)],
    ) -> Result<Vec<AccountId>, StoreError>;

    /// Puts off the visit of an account that cannot be read until `until`, and releases the lease of `holder` on it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn put_off(
        &self,
        id: AccountId,
        holder: LeaseHolder,
        until: OffsetDateTime,
    ) -> Result<(), StoreError>;

    /// Schedules at most `limit` accounts that were changed by a version that knows nothing of the schedule, soonest
    /// expiry first, and forgets the failures that those changes made out of date. Returns their number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn schedule_missed(&self, limit: u64) -> Result<u64, StoreError>;

    /// At most `limit` accounts but `except` with a token that lives at `now`, the one whose profile was read last
    /// first. An account that cannot be read is left out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn witnesses(
        &self,
        except: AccountId,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<(InstagramAccount, LongLivedToken)>, StoreError>;
}

/// State of the app's breaker, which all replicas share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Cause and moment of its opening; `None` while it is closed.
    pub open: Option<OpenBreaker>,
    /// Moment at which it was closed last; `None` where it never was.
    pub close_time: Option<OffsetDateTime>,
}

/// An open breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenBreaker {
    /// Cause for which it opened.
    pub cause: TroubleCause,
    /// Moment at which it opened.
    pub since_time: OffsetDateTime,
}

/// Stores the app's breaker.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AppBreaker: Send + Sync {
    /// The breaker; closed where it was never opened.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn load(&self) -> Result<Breaker, StoreError>;

    /// Opens the breaker at `now`, as if a witness had just been sent. `false` where it was open already.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn open(&self, cause: TroubleCause, now: OffsetDateTime) -> Result<bool, StoreError>;

    /// Closes the breaker that opened at `since_time`, at `now`. `false` where it was closed already, also where it was
    /// opened anew since.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn close(
        &self,
        since_time: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// Takes the turn to send a witness at `now`, if the breaker is open and nobody has taken it within `interval`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn take_probe(&self, now: OffsetDateTime, interval: Duration)
    -> Result<bool, StoreError>;
}
