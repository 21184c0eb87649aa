//! The store: accounts with their tokens, pending links, attempts, leases.
//!
//! A store serves one Meta app: rows of another app are invisible through these ports. Every method is
//! atomic. Lease time is the store's own clock, never the caller's, so that replicas agree on it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    AccountId, CodeHash, InstagramAccount, InstagramId, LeaseHolder, LinkAttempt, ListingPosition,
    LongLivedToken, OwnerScope, PendingLink, Phase, Scope, StateHash, Username,
};

/// Maximum time of a call to the store, from its first wait for a connection or for a turn to write. A bulk read waits
/// for its turn before that. The diagnosis of a missing connection may take half a second more.
pub const STORE_CALL_TIMEOUT: Duration = Duration::from_secs(4);

/// Maximum time that a lease of this lifetime is believed to have left; by a clock that only goes on, none has that
/// much. A lease with more comes from a store whose clock was set back: it counts as ended, else nobody could take it
/// before that clock has caught up. Twice the lifetime, so that a clock that is set right by some seconds takes nobody's
/// lease away.
#[must_use]
pub const fn max_lease_left(lifetime: Duration) -> Duration {
    lifetime.saturating_mul(2)
}

/// An error of the layer below, kept for the log.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    /// Keeps `error`, whose `Display` and `source` must hold no secret.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(error.into()))
    }

    /// The error, if it is of this type.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// A store could not execute a call.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed the row since it was read: read again.
    #[error("the row was changed by somebody else")]
    Conflict,
    /// The holder does not hold the lease, or not any more.
    #[error("the lease is not held any more")]
    LeaseLost,
    /// The store cannot be reached, hangs, or lacks migrations.
    #[error("the store is unavailable")]
    Unavailable(#[source] Cause),
    /// The store has more to do than it can begin in time. Nothing was done, and the store is not away.
    #[error("the store has too much to do")]
    Overloaded(#[source] Cause),
    /// A stored row cannot be read back: damaged, or sealed under a key that is not configured.
    #[error("a stored row cannot be read")]
    Corrupt(#[source] Cause),
    /// The store refused a statement, and the fault is ours.
    #[error("the store refused a statement")]
    Internal(#[source] Cause),
}

/// Key by which an account is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountKey {
    /// Our id.
    Id(AccountId),
    /// Either Instagram id; an account that has it as professional id comes first, then as app-scoped id,
    /// then as alias.
    Instagram(InstagramId),
    /// The handle; of several accounts with one handle, the one whose profile was read last.
    Username(Username),
}

/// Key of one of many accounts that are looked up at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchKey {
    /// Our id.
    Id(AccountId),
    /// Either Instagram id, as for [`AccountKey::Instagram`].
    Instagram(InstagramId),
}

impl From<BatchKey> for AccountKey {
    fn from(key: BatchKey) -> Self {
        match key {
            BatchKey::Id(id) => Self::Id(id),
            BatchKey::Instagram(id) => Self::Instagram(id),
        }
    }
}

/// Filter of a listing by the stored mark: an account that has expired is marked by the keeper within a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    /// Only accounts that are not marked.
    Active,
    /// Only accounts that are marked as in need of a new consent.
    ReauthorizationRequired,
}

/// One page of a listing, in the [order](OwnerScope::listing_order) of its owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountPage {
    /// Only accounts of these owners.
    pub owners: OwnerScope,
    /// Only accounts of this status; `None` for all.
    pub status: Option<StatusFilter>,
    /// Position behind which the page begins; `None` for the first page.
    pub after: Option<ListingPosition>,
    /// Maximum number of accounts.
    pub limit: u64,
}

/// Reads linked accounts and, apart from them, their tokens.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AccountReader: Send + Sync {
    /// The account with this key. Reads no token.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn find(&self, key: &AccountKey) -> Result<Option<InstagramAccount>, StoreError>;

    /// For each of `keys` the account that [`find`](Self::find) would find, in their order. Reads no token. An account
    /// that cannot be read is left out, as if it were not there.
    ///
    /// The number of round trips does not depend on the number of keys.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn find_many(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError>;

    /// For each of `ids` its account, in their order; `None` where it is gone or cannot be read. Reads no token.
    ///
    /// Unlike [`find_many`](Self::find_many) it waits for no other read: events must not wait for callers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn find_by_ids(
        &self,
        ids: &[AccountId],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError>;

    /// One page of accounts. Reads no token.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn list(&self, page: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError>;

    /// An account and the token of this revision of it; no token where the token was destroyed and the account kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`] also when the token's key is gone.
    async fn find_with_token(
        &self,
        id: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError>;
}

/// Changes and deletes linked accounts and their tokens, and stores imported ones. A link stores an account by
/// [`LinkAttempts::complete`]. Each change writes its event in its own transaction.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AccountWriter: Send + Sync {
    /// Stores a changed account, and its new token where there is one, if the stored account still has the revision,
    /// the reading of the profile, and the retry of `former`, from which the change was made: the revision alone counts
    /// neither readings nor retries.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when it has not, or the account is gone; [`StoreError::Unavailable`].
    async fn update(
        &self,
        account: &InstagramAccount,
        former: &InstagramAccount,
        token: Option<LongLivedToken>,
    ) -> Result<(), StoreError>;

    /// Stores the account of an import with its token and its event: all or nothing. Nothing where a removal of the person
    /// was issued in the second of the account's consent, or later, nor where that cannot be told.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when an account is not as it was read, or its professional id is taken;
    /// [`StoreError::Unavailable`].
    async fn import(&self, import: &CompletedImport) -> Result<ImportEnded, StoreError>;

    /// Stores an account as one whose token Instagram refuses, if `holder` holds the renewal lease on it, the stored
    /// revision is still `former_revision`, and no newer reading of the profile is stored: neither another holder in
    /// between nor a reading raises the revision, and a reading that succeeded contradicts the refusal. Extends the
    /// lease: all or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`] when another holds the lease, or has held it since; [`StoreError::Conflict`] when the
    /// stored account is another one, or gone; [`StoreError::Unavailable`].
    async fn mark_refused(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        holder: LeaseHolder,
    ) -> Result<(), StoreError>;

    /// Deletes an account and its token, if the stored revision is still `revision`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when it is not, or the account is gone; [`StoreError::Unavailable`].
    async fn remove(&self, id: AccountId, revision: i64) -> Result<(), StoreError>;

    /// Marks at most `limit` unmarked accounts whose token is past its expiry at `now`, each as a change of it. Returns
    /// the number of accounts marked.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn mark_expired(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError>;
}

/// Stores the states of links that have begun.
#[async_trait]
pub trait PendingLinks: Send + Sync {
    /// Stores a new pending link.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when its state exists; [`StoreError::Unavailable`].
    async fn insert(&self, pending: &PendingLink) -> Result<(), StoreError>;

    /// The pending link with this state, spent and expired ones included.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn find(&self, state: &StateHash) -> Result<Option<PendingLink>, StoreError>;
}

/// The successful end of an attempt, and all that is stored with it.
#[derive(Clone, Debug)]
pub struct CompletedLink {
    /// Id and revision of another owner's account that needs re-authorisation and makes room.
    pub displaced: Option<(AccountId, i64)>,
    /// The account as it shall be stored.
    pub account: InstagramAccount,
    /// The stored revision that it follows; `None` when it is new.
    pub former_revision: Option<i64>,
    /// The token; `None` when the stored one is newer and stays.
    pub token: Option<LongLivedToken>,
    /// Scopes that were requested and not granted.
    pub missing_scopes: Vec<Scope>,
    /// Moment at which the attempt ended.
    pub end_time: OffsetDateTime,
}

/// The account of an import, as it is to be stored.
#[derive(Clone, Debug)]
pub struct CompletedImport {
    /// Id and revision of another owner's account that needs re-authorisation and makes room.
    pub displaced: Option<(AccountId, i64)>,
    /// The account as it shall be stored.
    pub account: InstagramAccount,
    /// The stored revision that it follows; `None` when it is new.
    pub former_revision: Option<i64>,
    /// The token.
    pub token: LongLivedToken,
}

/// End of a link, as the store takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnded {
    /// All of it is stored.
    Stored,
    /// The person removed the app, or had the data deleted, when the code had come or later: no account is stored. The
    /// attempt has ended as one whose code is spent; with a deletion it is erased.
    UserRemoved,
}

/// End of an import, as the store takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportEnded {
    /// All of it is stored.
    Stored,
    /// The person removed the app, or had the data deleted, when the token was issued or later: no account is stored.
    UserRemoved,
    /// Somebody did so, and who it was cannot be told, since the key of persons' hashes does not open: no account is
    /// stored.
    RemovalUnreadable,
}

/// Lifetime of the lease of an attempt. Ours: the maximum time between two writes of a holder where the store answers
/// within 3 seconds, which is a second between two extensions and three calls (an extension, a look-up, and the write of
/// Instagram's answer). A dead holder is to be replaced within 15 seconds: 5 are left for its last write, which may
/// arrive after its death, for the look of the one that waits, and for that one's claim.
pub const ATTEMPT_LEASE: Duration = Duration::from_secs(10);

/// Stores attempts to link, and the lease that makes each the work of one holder at a time.
///
/// A lease lasts for [`ATTEMPT_LEASE`] from each write of its holder. Then, and only then, another may take over. A
/// holder that was replaced stays replaced, also when its successor has released the lease: it may only claim anew, as a
/// holder with an id of its own, and begin anew with the rows stored by then.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait LinkAttempts: Send + Sync {
    /// The attempt with this code.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn find(&self, code: &CodeHash) -> Result<Option<LinkAttempt>, StoreError>;

    /// Stores a new attempt, held by `holder`, and spends its state: both or neither.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when the attempt exists or the state is spent or gone;
    /// [`StoreError::Unavailable`].
    async fn create(&self, attempt: &LinkAttempt, holder: LeaseHolder) -> Result<(), StoreError>;

    /// Deletes an attempt that is [`Phase::Unsent`] and that nobody holds, and makes its state unspent again: both or
    /// neither. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn discard_unsent(&self, code: &CodeHash, state: &StateHash) -> Result<bool, StoreError>;

    /// Takes the lease if nobody holds it, and returns the attempt as it is from then on. `None` while somebody holds
    /// it, once the attempt has ended, and where there is no attempt.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn claim(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
    ) -> Result<Option<LinkAttempt>, StoreError>;

    /// Moves the attempt to `phase` and extends the lease. `Ended` releases the lease and erases the short-lived token.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`] when `holder` does not hold it; [`StoreError::Unavailable`].
    async fn advance(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError>;

    /// Releases the lease with the attempt in `phase`, so that a repetition of the call may go on at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`] when `holder` does not hold it; [`StoreError::Unavailable`].
    async fn release(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError>;

    /// Stores the account with the event of its change and ends the attempt as linked, erasing the short-lived token: all
    /// or nothing. Without the account where a removal of the person was issued in the second in which the code came, or
    /// later.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when an account is not as it was read, or its professional id is taken;
    /// [`StoreError::LeaseLost`]; [`StoreError::Unavailable`].
    async fn complete(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        link: &CompletedLink,
    ) -> Result<LinkEnded, StoreError>;

    /// Sweeps at most `limit` rows of each kind: ends unheld attempts, those without a short-lived token
    /// [`CODE_LIFETIME`](crate::CODE_LIFETIME) after they were made, those with one
    /// [`SHORT_LIVED_LIFETIME`](crate::SHORT_LIVED_LIFETIME) after it was received (as interrupted, erasing the token;
    /// as rejected where the code was never taken), and deletes attempts, pending links
    /// and deauthorisations [`LINK_RETENTION`](crate::LINK_RETENTION) after they ended, and renewal leases that have
    /// ended on accounts that are gone. Erases codes of hosted consents
    /// [`HOSTED_CODE_RETENTION`](crate::HOSTED_CODE_RETENTION) after they came, and deletes their rows after
    /// [`LINK_RETENTION`](crate::LINK_RETENTION). Returns the number of rows touched.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn sweep(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError>;
}

/// Lifetime of the lease of a renewal. Ours, for the same reasons as [`ATTEMPT_LEASE`].
pub const RENEWAL_LEASE: Duration = Duration::from_secs(10);

/// Makes the renewal of an account's token the work of one holder at a time.
///
/// A lease lasts for [`RENEWAL_LEASE`] from its claim and from each extension. A holder that was replaced stays
/// replaced, as with [`LinkAttempts`].
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait RenewalLeases: Send + Sync {
    /// Takes the lease if nobody holds it. `false` while somebody does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn claim(&self, account: AccountId, holder: LeaseHolder) -> Result<bool, StoreError>;

    /// Starts the lease's lifetime anew, if nobody else has held it since `holder` claimed it.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`] when somebody has, or `holder` has released it; [`StoreError::Unavailable`].
    async fn extend(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError>;

    /// Releases the lease; nothing happens where another holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn release(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError>;
}

/// Tells whether the store can serve.
#[async_trait]
pub trait StoreProbe: Send + Sync {
    /// Checks that the store answers a small query, has all migrations that we know, and has keys to seal with.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when it cannot serve.
    async fn check(&self) -> Result<(), StoreError>;
}
