//! Hands out an account's token, after an audit entry of its recipient is stored.

use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{
    AccountReader, AuditLog, Clock, GraphFacts, Ids, InstagramError, StoreError,
};
use ig_domain::{
    AccountId, AccountStatus, AuditEntry, InstagramAccount, LongLivedToken, MIN_RENEWAL_AGE,
    NotRenewable, OwnerScope, Recipient,
};
use time::OffsetDateTime;

use crate::{DeadToken, Ports, RefreshAccount, RefreshAccountError, RefreshedAccount};

/// Hands out tokens.
pub struct FetchAccessToken {
    /// Store of accounts and tokens.
    accounts: Arc<dyn AccountReader>,
    /// Log of the tokens that were handed out, with their recipients.
    audit: Arc<dyn AuditLog>,
    /// Use case that renews a token whose remaining lifetime is too short.
    refresh: Arc<RefreshAccount>,
    /// Business time.
    clock: Arc<dyn Clock>,
    /// Source of the ids of audit entries.
    ids: Arc<dyn Ids>,
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

impl FetchAccessToken {
    /// Hands out tokens over `ports`, and renews them by `refresh`.
    #[must_use]
    pub fn new(ports: &Ports, refresh: Arc<RefreshAccount>) -> Self {
        Self {
            accounts: ports.store.accounts.clone(),
            audit: ports.store.audit.clone(),
            refresh,
            clock: ports.clock.clone(),
            ids: ports.ids.clone(),
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
        self.execute_with(&command, renewal).await
    }

    /// [`execute`](Self::execute) with `renewal`, which is polled only where the token does not live long enough.
    ///
    /// # Errors
    ///
    /// Any [`FetchAccessTokenError`].
    pub async fn execute_with(
        &self,
        command: &FetchAccessTokenCommand,
        renewal: impl Future<Output = Result<RefreshedAccount, RefreshAccountError>>,
    ) -> Result<FetchedAccessToken, FetchAccessTokenError> {
        let living = self.living(command).await?;
        if self.lasts(&living, command.min_ttl) {
            return self.hand_out(living, &command.recipient).await;
        }
        if let Some(too_young) = self.too_young(&living.0) {
            return Err(too_young);
        }
        let refreshed = renewal.await;
        // Whatever came of it, what is stored now decides: somebody may have linked anew meanwhile.
        let living = self.living(command).await.map_err(|error| found_out(error, &refreshed))?;
        if self.lasts(&living, command.min_ttl) {
            return self.hand_out(living, &command.recipient).await;
        }
        Err(self.unmet(&living.0, refreshed))
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

    fn lasts(&self, (account, _): &Living, min_ttl: Duration) -> bool {
        account.remaining_lifetime(self.clock.now()) >= min_ttl
    }

    async fn hand_out(
        &self,
        (account, token): Living,
        recipient: &Recipient,
    ) -> Result<FetchedAccessToken, FetchAccessTokenError> {
        let now = self.clock.now();
        let entry = AuditEntry::of(self.ids.audit_id(now), recipient.clone(), &account, now);
        self.audit.record(&entry).await?;
        Ok(FetchedAccessToken { token, account })
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
