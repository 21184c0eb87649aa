//! Hands out an account's token, once it is written down to whom.

use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{Accounts, AuditLog, Clock, GraphFacts, Ids, InstagramError, StoreError};
use ig_domain::{
    AccountId, AccountStatus, AuditEntry, InstagramAccount, LongLivedToken, MINIMUM_RENEWAL_AGE,
    NotRenewable, OwnerScope, Recipient,
};
use time::OffsetDateTime;

use crate::{DeadToken, RefreshAccount, RefreshAccountError, RefreshedAccount};

/// Hands out tokens.
pub struct FetchAccessToken {
    /// Where accounts and tokens are kept.
    pub accounts: Arc<dyn Accounts>,
    /// Where it is written down who was handed which.
    pub audit: Arc<dyn AuditLog>,
    /// What renews a token that does not live long enough.
    pub refresh: Arc<RefreshAccount>,
    /// Business time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids of audit entries.
    pub ids: Arc<dyn Ids>,
}

/// Which token is asked for, and by whom.
#[derive(Clone, Debug)]
pub struct FetchAccessTokenCommand {
    /// The account.
    pub account: AccountId,
    /// Whose it must be.
    pub owners: OwnerScope,
    /// How long the token must live at least.
    pub min_ttl: Duration,
    /// Who asks, and what for.
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

/// Why no token is handed out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchAccessTokenError {
    /// The account is not there, or of an owner outside the scope.
    #[error("there is no such account")]
    NotFound,
    /// The token is dead.
    #[error("the token is dead: the person must consent again")]
    ReauthorizationRequired(Box<DeadToken>),
    /// The token lives, but shorter than asked, and cannot be renewed now.
    #[error("the token lives shorter than asked and is not renewed")]
    MinTtlUnmet {
        /// Until when it lives.
        expire_time: OffsetDateTime,
        /// Why it is not renewed.
        #[source]
        cause: NotRenewed,
    },
    /// The store failed: what is not written down does not leave.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work of renewing panicked.
    #[error("the work of refreshing panicked")]
    Panicked,
}

/// Why a token that lives was not renewed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotRenewed {
    /// Instagram renews no token younger than [`MINIMUM_RENEWAL_AGE`].
    #[error("the token is too young")]
    TooYoung {
        /// In how long it will be old enough.
        wait: Duration,
    },
    /// Instagram could not help now.
    #[error(transparent)]
    Instagram(InstagramError),
}

/// An account whose token lives, and its token.
type Living = (InstagramAccount, LongLivedToken);

impl FetchAccessToken {
    /// Hands out the account's token if it lives long enough, and renews it before if it does not. Asks
    /// nobody, and waits for nobody's renewal, where it does.
    ///
    /// The entry in the audit lasts before this returns. Dropping the future ends the waiting, not a renewal,
    /// nor the life of `place`, which is what the caller occupies while one runs.
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

    /// [`execute`](Self::execute) with `renewal`, which is begun only where the token does not live long enough.
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
        account.token_expire_time - self.clock.now() >= min_ttl
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
        let wait = account.token_issue_time + MINIMUM_RENEWAL_AGE - now;
        let cause = NotRenewed::TooYoung { wait: wait.unsigned_abs() };
        young.then(|| unmet(account, cause))
    }

    /// Why no more life could be had.
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

/// The same refusal, with what Instagram said where it was `renewal` that found the token dead.
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
