//! Hands out an account's token, after an audit entry of its recipient is stored.

use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{
    AccountReader, AuditLog, Cause, Clock, GraphFacts, Ids, InstagramError, MAX_RECORDED_ENTRIES,
    StoreError,
};
use ig_domain::{
    AccountId, AccountStatus, AuditEntry, InstagramAccount, LongLivedToken, MIN_RENEWAL_AGE,
    NotRenewable, OwnerScope, Recipient,
};
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::group_commit::GroupCommit;
use crate::{DeadToken, Ports, RefreshAccount, RefreshAccountError, RefreshedAccount};

/// Maximum number of tries to hand out the token of an account that changes between reading and writing down. Ours:
/// changes of one account are seconds apart.
const MAX_TRIES: u32 = 5;

/// Hands out tokens.
pub struct FetchAccessToken {
    /// Store of accounts and tokens.
    accounts: Arc<dyn AccountReader>,
    /// Recorder of the tokens that are handed out, with their recipients.
    recorder: Arc<HandOutRecorder>,
    /// Use case that renews a token whose remaining lifetime is too short.
    refresh: Arc<RefreshAccount>,
    /// Business time.
    clock: Arc<dyn Clock>,
    /// Source of the ids of audit entries.
    ids: Arc<dyn Ids>,
    /// Tracks what is stored for several callers.
    tracker: TaskTracker,
}

/// Records tokens that are about to be handed out. Entries that wait at the same time are stored together.
pub struct HandOutRecorder {
    audit: Arc<dyn AuditLog>,
    group: GroupCommit<AuditEntry, Result<bool, StoreError>>,
}

impl HandOutRecorder {
    /// Records in `audit`.
    #[must_use]
    pub fn new(audit: Arc<dyn AuditLog>) -> Self {
        Self { audit, group: GroupCommit::new(MAX_RECORDED_ENTRIES) }
    }

    /// Records one token. `false` where its account has changed since it was read: the token must stay. Where the
    /// future is dropped, others that wait for it fail, too.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::record`].
    pub async fn record(&self, entry: AuditEntry) -> Result<bool, StoreError> {
        self.group.store(entry, 1, |entries| self.record_group(entries)).await
    }

    async fn record_group(&self, entries: Vec<AuditEntry>) -> Vec<Result<bool, StoreError>> {
        let recorded = self.audit.record(&entries).await;
        let is_recorded = |entry: &AuditEntry| match &recorded {
            Ok(recorded) => Ok(recorded.contains(&entry.id)),
            Err(error) => Err(error.clone()),
        };
        entries.iter().map(is_recorded).collect()
    }
}

/// Arguments of [`FetchAccessToken::execute`].
#[derive(Clone, Debug)]
pub struct FetchAccessTokenCommand {
    /// The account.
    pub account: AccountId,
    /// Owners, one of whom must own the account.
    pub owners: OwnerScope,
    /// Minimum remaining lifetime of the token.
    pub min_ttl: Duration,
    /// Caller, with its purpose and its call.
    pub recipient: Recipient,
}

/// A token on its way out.
#[derive(Clone, Debug)]
pub struct FetchedAccessToken {
    /// The token.
    pub token: LongLivedToken,
    /// The account as it was with that token.
    pub account: InstagramAccount,
}

/// Reason for which no token is handed out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchAccessTokenError {
    /// The account does not exist, or its owner is outside the scope.
    #[error("there is no such account")]
    NotFound,
    /// The token is dead.
    #[error("the token is dead: the person must consent again")]
    ReauthorizationRequired(Box<DeadToken>),
    /// The token lives, but for less than the minimum, and cannot be renewed now.
    #[error("the token lives shorter than asked and is not renewed")]
    MinTtlUnmet {
        /// Moment at which it expires; `None` where that is not known.
        expire_time: Option<OffsetDateTime>,
        /// Reason for which it is not renewed.
        #[source]
        cause: NotRenewed,
    },
    /// The store failed; without an audit entry no token is handed out.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work of renewing panicked.
    #[error("the work of refreshing panicked")]
    Panicked,
}

/// Reason for which a living token was not renewed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotRenewed {
    /// Instagram renews no token younger than [`MIN_RENEWAL_AGE`].
    #[error("the token is too young")]
    TooYoung {
        /// Time until it is old enough.
        wait: Duration,
    },
    /// Instagram could not help now.
    #[error(transparent)]
    Instagram(InstagramError),
}

/// An account with a living token, and that token.
type Living = (InstagramAccount, LongLivedToken);

/// What comes of a token that lives.
enum HandOut {
    /// It was handed out.
    Done(FetchedAccessToken),
    /// It lives shorter than asked. The account, as it is now.
    TooShort(InstagramAccount),
}

impl FetchAccessToken {
    /// Hands out tokens over `ports`, and renews them by `refresh`. `tracker` waits for what is under way.
    #[must_use]
    pub fn new(ports: &Ports, refresh: Arc<RefreshAccount>, tracker: TaskTracker) -> Self {
        Self {
            accounts: ports.store.accounts.clone(),
            recorder: Arc::new(HandOutRecorder::new(ports.store.audit.clone())),
            refresh,
            clock: ports.clock.clone(),
            ids: ports.ids.clone(),
            tracker,
        }
    }

    /// Hands out the account's token. One that lives long enough is handed out at once, without a call to Instagram and
    /// without a wait for another's renewal; any other one is renewed first, where it can be.
    ///
    /// The audit entry is stored before this returns. Dropping the future ends the waiting, not a renewal: a renewal
    /// that this call started keeps `place`, the caller's slot, until its end.
    ///
    /// # Errors
    ///
    /// Any [`FetchAccessTokenError`].
    pub async fn execute(
        &self,
        command: FetchAccessTokenCommand,
        place: impl Send + 'static,
    ) -> Result<FetchedAccessToken, FetchAccessTokenError> {
        let renewal = self.refresh.execute(command.account, &command.owners, place);
        let record = |entry| {
            let recorder = Arc::clone(&self.recorder);
            // One of those who wait stores the entries of all: it must not go with its caller.
            let recording = async move { recorder.record(entry).await };
            let recording = self.tracker.spawn(recording.in_current_span());
            async {
                let outcome = recording.await;
                outcome.unwrap_or_else(|error| Err(StoreError::Internal(Cause::new(error))))
            }
        };
        self.execute_with(&command, renewal, record).await
    }

    /// [`execute`](Self::execute) with `renewal`, which is polled only where the token does not live long enough, and
    /// `record`, which records an entry as [`HandOutRecorder::record`] does.
    ///
    /// # Errors
    ///
    /// Any [`FetchAccessTokenError`].
    pub async fn execute_with<R>(
        &self,
        command: &FetchAccessTokenCommand,
        renewal: impl Future<Output = Result<RefreshedAccount, RefreshAccountError>>,
        record: impl Fn(AuditEntry) -> R,
    ) -> Result<FetchedAccessToken, FetchAccessTokenError>
    where
        R: Future<Output = Result<bool, StoreError>>,
    {
        let account = match self.hand_out(command, &record).await? {
            HandOut::Done(fetched) => return Ok(fetched),
            HandOut::TooShort(account) => account,
        };
        if let Some(too_young) = self.too_young(&account) {
            return Err(too_young);
        }
        let refreshed = renewal.await;
        // Whatever came of it, what is stored now decides: somebody may have linked anew meanwhile.
        match self.hand_out(command, &record).await.map_err(|error| found_out(error, &refreshed))? {
            HandOut::Done(fetched) => Ok(fetched),
            HandOut::TooShort(account) => Err(self.unmet(&account, refreshed)),
        }
    }

    /// Hands out the token that is stored, where it lives long enough. It stays where its account has changed since it
    /// was read: it may be destroyed, and another owner's.
    async fn hand_out<R>(
        &self,
        command: &FetchAccessTokenCommand,
        record: impl Fn(AuditEntry) -> R,
    ) -> Result<HandOut, FetchAccessTokenError>
    where
        R: Future<Output = Result<bool, StoreError>>,
    {
        for _ in 0..MAX_TRIES {
            let (account, token) = self.living(command).await?;
            let now = self.clock.now();
            if account.remaining_lifetime(now) < command.min_ttl {
                return Ok(HandOut::TooShort(account));
            }
            let (id, recipient) = (self.ids.audit_id(now), command.recipient.clone());
            if record(AuditEntry::of(id, recipient, &account, now)).await? {
                return Ok(HandOut::Done(FetchedAccessToken { token, account }));
            }
        }
        let cause = "the account changed each time between reading and writing down";
        Err(StoreError::Unavailable(Cause::new(cause)).into())
    }

    async fn living(
        &self,
        command: &FetchAccessTokenCommand,
    ) -> Result<Living, FetchAccessTokenError> {
        let found = self.accounts.find_with_token(command.account).await?;
        let found = found.filter(|(account, _)| command.owners.contains(&account.owner));
        let (account, token) = found.ok_or(FetchAccessTokenError::NotFound)?;
        let account = if token.is_some() { account } else { account.without_token() };
        let now = self.clock.now();
        match (account.status(now), token) {
            (AccountStatus::Active, Some(token)) => Ok((account, token)),
            (AccountStatus::Active | AccountStatus::ReauthorizationRequired(_), _) => {
                let dead = DeadToken { view: account.view(now), facts: GraphFacts::default() };
                Err(FetchAccessTokenError::ReauthorizationRequired(Box::new(dead)))
            }
        }
    }

    fn too_young(&self, account: &InstagramAccount) -> Option<FetchAccessTokenError> {
        let now = self.clock.now();
        let young = account.renewable(now) == Err(NotRenewable::TooYoung);
        let issue_time = account.token_issue_time.filter(|_| young)?;
        let wait = issue_time + MIN_RENEWAL_AGE - now;
        Some(unmet(account, NotRenewed::TooYoung { wait: wait.unsigned_abs() }))
    }

    /// Error for a token whose remaining lifetime stays too short.
    fn unmet(
        &self,
        account: &InstagramAccount,
        refreshed: Result<RefreshedAccount, RefreshAccountError>,
    ) -> FetchAccessTokenError {
        if let Some(too_young) = self.too_young(account) {
            return too_young;
        }
        match refreshed {
            // It was renewed, and that token is too old already: so asking again may help.
            Ok(_) => unmet(account, NotRenewed::TooYoung { wait: Duration::ZERO }),
            Err(RefreshAccountError::Instagram(error)) => {
                unmet(account, NotRenewed::Instagram(error))
            }
            Err(RefreshAccountError::NotFound) => FetchAccessTokenError::NotFound,
            Err(RefreshAccountError::ReauthorizationRequired(dead)) => {
                FetchAccessTokenError::ReauthorizationRequired(dead)
            }
            Err(RefreshAccountError::Store(error)) => error.into(),
            Err(RefreshAccountError::Panicked) => FetchAccessTokenError::Panicked,
        }
    }
}

/// The same refusal, with Instagram's numbers where it was `renewal` that found the token dead.
fn found_out(
    error: FetchAccessTokenError,
    renewal: &Result<RefreshedAccount, RefreshAccountError>,
) -> FetchAccessTokenError {
    match (error, renewal) {
        (
            FetchAccessTokenError::ReauthorizationRequired(_),
            Err(RefreshAccountError::ReauthorizationRequired(dead)),
        ) => FetchAccessTokenError::ReauthorizationRequired(dead.clone()),
        (error, _) => error,
    }
}

fn unmet(account: &InstagramAccount, cause: NotRenewed) -> FetchAccessTokenError {
    FetchAccessTokenError::MinTtlUnmet { expire_time: account.token_expire_time, cause }
}
