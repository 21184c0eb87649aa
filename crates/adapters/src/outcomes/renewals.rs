//! Counts of renewals, and of accounts whose token Instagram refuses.

use std::sync::Arc;

use async_trait::async_trait;
use ig_domain::ports::{
    AccountKey, AccountReader, AccountWriter, CodeExchange, Instagram, InstagramError,
    InstagramErrorKind, StoreError,
};
use ig_domain::{
    AccountId, AuthorizationCode, InstagramAccount, LeaseHolder, LongLivedToken, Profile,
    ReauthorizationReason, RedirectUri, RequestedScopes, ShortLivedToken, StateToken,
    TokenLifetime, TokenText,
};
use ig_metrics::{Counts, Registry};
use time::OffsetDateTime;

/// Outcome of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewal {
    Renewed,
    Rejected,
    RateLimited,
    Unavailable,
    AppMisconfigured,
    Unexpected,
}

ig_metrics::label!(Renewal, "outcome", {
    Renewed => "renewed",
    Rejected => "rejected",
    RateLimited => "rate_limited",
    Unavailable => "unavailable",
    AppMisconfigured => "app_misconfigured",
    Unexpected => "unexpected",
});

impl From<InstagramErrorKind> for Renewal {
    fn from(kind: InstagramErrorKind) -> Self {
        match kind {
            InstagramErrorKind::TokenRejected(_) => Self::Rejected,
            InstagramErrorKind::RateLimited { .. } => Self::RateLimited,
            InstagramErrorKind::NotSent
            | InstagramErrorKind::NoAnswer
            | InstagramErrorKind::Unavailable
            | InstagramErrorKind::Unconfirmed => Self::Unavailable,
            InstagramErrorKind::AppMisconfigured => Self::AppMisconfigured,
            InstagramErrorKind::SessionUnknown
            | InstagramErrorKind::CodeRejected
            | InstagramErrorKind::RedirectUriRejected
            | InstagramErrorKind::Unreadable
            | InstagramErrorKind::Unexpected => Self::Unexpected,
        }
    }
}

/// Reason for which an account needs the person again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    TokenExpired,
    PasswordChanged,
    Checkpoint,
    TokenRevoked,
}

ig_metrics::label!(Reason, "reason", {
    TokenExpired => "token_expired",
    PasswordChanged => "password_changed",
    Checkpoint => "checkpoint",
    TokenRevoked => "token_revoked",
});

impl From<ReauthorizationReason> for Reason {
    fn from(reason: ReauthorizationReason) -> Self {
        match reason {
            ReauthorizationReason::TokenExpired => Self::TokenExpired,
            ReauthorizationReason::PasswordChanged => Self::PasswordChanged,
            ReauthorizationReason::Checkpoint => Self::Checkpoint,
            ReauthorizationReason::TokenRevoked => Self::TokenRevoked,
        }
    }
}

/// Counts renewals, and the accounts whose token Instagram refused.
#[derive(Clone)]
pub struct RenewalCounts {
    renewals: Counts<Renewal>,
    refused: Counts<Reason>,
}

impl RenewalCounts {
    /// Registers all at zero.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let refused = "Accounts that were marked because Instagram refused their token twice";
        Self {
            renewals: Counts::register(registry, "renewals", "Renewals by what became of them"),
            refused: Counts::register(registry, "refused_accounts", refused),
        }
    }
}

/// Accounts whose renewed tokens and whose refusals are counted.
pub struct CountedAccounts {
    accounts: Arc<dyn AccountReader>,
    inner: Arc<dyn AccountWriter>,
    counts: RenewalCounts,
}

impl CountedAccounts {
    /// The writes to `inner`, for those who renew; its accounts are read from `accounts`.
    #[must_use]
    pub fn new(
        accounts: Arc<dyn AccountReader>,
        inner: Arc<dyn AccountWriter>,
        counts: RenewalCounts,
    ) -> Self {
        Self { accounts, inner, counts }
    }

    /// Reason for which Instagram refuses the account's token, unless the stored account is refused already. Another
    /// account than the one that is updated may be found, but only where the update then is a conflict.
    async fn newly_refused(&self, account: &InstagramAccount) -> Option<ReauthorizationReason> {
        let reason = account.refused?;
        // A look that fails costs the count, not the update.
        let stored = self.accounts.find(&AccountKey::Id(account.id)).await.ok()?;
        let known = stored.is_some_and(|stored| stored.refused.is_some());
        (!known).then_some(reason)
    }
}

#[async_trait]
impl AccountWriter for CountedAccounts {
    async fn update(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        token: Option<LongLivedToken>,
    ) -> Result<(), StoreError> {
        let renewed = token.is_some();
        self.inner.update(account, former_revision, token).await?;
        if renewed {
            self.counts.renewals.count(Renewal::Renewed);
        }
        Ok(())
    }

    async fn mark_refused(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        holder: LeaseHolder,
    ) -> Result<(), StoreError> {
        let newly_refused = self.newly_refused(account).await;
        self.inner.mark_refused(account, former_revision, holder).await?;
        if let Some(reason) = newly_refused {
            self.counts.refused.count(reason.into());
        }
        Ok(())
    }

    async fn remove(&self, id: AccountId, revision: i64) -> Result<(), StoreError> {
        self.inner.remove(id, revision).await
    }

    async fn mark_expired(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.inner.mark_expired(now, limit).await
    }
}

/// An Instagram whose refusals to renew are counted.
pub struct CountedInstagram {
    inner: Arc<dyn Instagram>,
    counts: RenewalCounts,
}

impl CountedInstagram {
    /// The calls of `inner`, for those who renew.
    #[must_use]
    pub fn new(inner: Arc<dyn Instagram>, counts: RenewalCounts) -> Self {
        Self { inner, counts }
    }
}

#[async_trait]
impl Instagram for CountedInstagram {
    fn authorization_url(
        &self,
        redirect_uri: &RedirectUri,
        scopes: &RequestedScopes,
        state: &StateToken,
        force_reauth: bool,
    ) -> String {
        self.inner.authorization_url(redirect_uri, scopes, state, force_reauth)
    }

    async fn exchange_code(
        &self,
        code: &AuthorizationCode,
        redirect_uri: &RedirectUri,
    ) -> Result<CodeExchange, InstagramError> {
        self.inner.exchange_code(code, redirect_uri).await
    }

    async fn extend_token(
        &self,
        token: &ShortLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        self.inner.extend_token(token).await
    }

    async fn renew_token(
        &self,
        token: &LongLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        let renewed = self.inner.renew_token(token).await;
        if let Err(error) = &renewed {
            self.counts.renewals.count(error.kind.into());
        }
        renewed
    }

    async fn profile(&self, token: &TokenText) -> Result<Profile, InstagramError> {
        self.inner.profile(token).await
    }
}
