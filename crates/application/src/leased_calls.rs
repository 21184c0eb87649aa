//! Calls to Instagram about one account, by the holder of the renewal lease on it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use ig_domain::ports::{GraphFacts, InstagramError, InstagramErrorKind, StoreError};
use ig_domain::{
    InstagramAccount, LineLimit, LongLivedToken, Profile, ReauthorizationReason, TokenGrant,
};

use crate::lease_extension::HeldLease;
use crate::witness::{self, Refused, Verdict};
use crate::{Ports, token_calls};

/// Limits the log lines about refusals that Instagram takes back: one line in ten seconds.
static UNCONFIRMED_LINES: LazyLock<LineLimit<()>> =
    LazyLock::new(|| LineLimit::new(Duration::from_secs(10)));

/// Calls to Instagram about one account, during which its lease is kept.
pub(crate) struct LeasedCalls<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) lease: HeldLease<'a>,
}

/// Reason for which a call has no answer that decides.
pub(crate) enum CallError {
    /// Instagram failed, or refused something else than the token.
    Instagram(InstagramError),
    /// The store failed, or somebody else holds the lease.
    Store(StoreError),
}

impl From<InstagramError> for CallError {
    fn from(error: InstagramError) -> Self {
        Self::Instagram(error)
    }
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Answer of `/me` about a token.
pub(crate) enum TokenCheck {
    /// The token works.
    Alive(Profile),
    /// The token was refused, twice in all.
    Refused(Refusal),
}

/// The second refusal of a token: its reason, and Instagram's own numbers for it.
#[derive(Clone)]
pub(crate) struct Refusal {
    pub(crate) reason: ReauthorizationReason,
    pub(crate) facts: GraphFacts,
}

impl From<Refusal> for InstagramError {
    fn from(Refusal { reason, facts }: Refusal) -> Self {
        Self { kind: InstagramErrorKind::TokenRejected(reason), facts }
    }
}

impl Refusal {
    /// The refusal that `error` is, if it is one of the token.
    fn of(error: &InstagramError) -> Option<Self> {
        let InstagramErrorKind::TokenRejected(reason) = error.kind else { return None };
        Some(Self { reason, facts: error.facts.clone() })
    }
}

impl LeasedCalls<'_> {
    /// Renews the token.
    pub(crate) async fn renew(&self, token: &LongLivedToken) -> Result<TokenGrant, CallError> {
        self.lease.ensure().await?;
        let renewal = token_calls::renew(self.ports, self.lease.id, token);
        Ok(self.lease.keep(renewal).await?)
    }

    /// Reads the profile, which must be this account's.
    pub(crate) async fn read(
        &self,
        account: &InstagramAccount,
        token: &LongLivedToken,
    ) -> Result<Profile, CallError> {
        self.lease.ensure().await?;
        Ok(self.lease.keep(token_calls::read(self.ports, account, token)).await?)
    }

    /// Makes another call for the account.
    pub(crate) async fn make<T, F>(&self, call: impl FnOnce() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, InstagramError>>,
    {
        self.lease.ensure().await?;
        let call = token_calls::unless_throttled(self.ports, self.lease.id, call);
        Ok(self.lease.keep(call).await?)
    }

    /// Asks `/me`, and once more where it refuses the token.
    pub(crate) async fn check(
        &self,
        account: &InstagramAccount,
        token: &LongLivedToken,
    ) -> Result<TokenCheck, CallError> {
        match self.read(account, token).await {
            Err(CallError::Instagram(refusal)) if refusal.rejects_token() => {
                match self.read(account, token).await {
                    Err(CallError::Instagram(again)) => {
                        self.twice(refusal, Some(&again)).map(TokenCheck::Refused)
                    }
                    read => read.map(TokenCheck::Alive),
                }
            }
            read => read.map(TokenCheck::Alive),
        }
    }

    /// Judges a refusal that the account met, by witnesses.
    pub(crate) async fn judge(&self, refused: Refused) -> Result<Verdict, StoreError> {
        self.lease.keep(witness::judge(self.ports, self.lease.id, refused)).await
    }

    /// Asks `/me` about a token whose renewal was refused.
    ///
    /// # Errors
    ///
    /// [`InstagramErrorKind::Unconfirmed`] where `/me` does not confirm the `refusal`.
    pub(crate) async fn confirm(
        &self,
        account: &InstagramAccount,
        token: &LongLivedToken,
        refusal: InstagramError,
    ) -> Result<Refusal, CallError> {
        match self.read(account, token).await {
            Ok(_) => self.twice(refusal, None),
            Err(CallError::Instagram(again)) => self.twice(refusal, Some(&again)),
            Err(error) => Err(error),
        }
    }

    /// The second refusal, or the error for one that was not confirmed: nothing follows from it. `again` is the failure
    /// of the second asking; `None` where the token worked.
    fn twice(
        &self,
        refusal: InstagramError,
        again: Option<&InstagramError>,
    ) -> Result<Refusal, CallError> {
        if let Some(confirmed) = again.and_then(Refusal::of) {
            return Ok(confirmed);
        }
        if let Some(left_out) = UNCONFIRMED_LINES.admit((), Instant::now()) {
            let facts = &refusal.facts;
            tracing::warn!(
                account.id = %self.lease.id,
                instagram_code = facts.code,
                instagram_subcode = facts.subcode,
                fbtrace_id = facts.fbtrace_id,
                again = again.map_or_else(|| "the token serves".to_owned(), ToString::to_string),
                left_out,
                "Instagram is of two minds: it refused a token and did not confirm it"
            );
        }
        Err(InstagramError { kind: InstagramErrorKind::Unconfirmed, ..refusal }.into())
    }
}
