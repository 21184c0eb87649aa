//! One refresh under its lease.

use ig_domain::ports::{CountedEvent, GraphFacts, StoreError};
use ig_domain::{
    AccountStatus, InstagramAccount, LongLivedToken, NotRenewable, Profile, TokenGrant,
};
use time::OffsetDateTime;

use super::{RefreshAccountError, RefreshedAccount, Setback};
use crate::Ports;
use crate::guarded_update::{NotStored, Stored, store_on_top};
use crate::leased_calls::{CallError, LeasedCalls, Refusal, TokenCheck};
use crate::refresh_account::{DeadToken, TokenOutcome};
use crate::retry::{MAX_TRIES, ONCE, retry_up_to};
use crate::witness::Refused;

/// One refresh under its lease.
pub(super) struct LeasedRefresh<'a> {
    pub(super) ports: &'a Ports,
    pub(super) calls: LeasedCalls<'a>,
    /// Moment at which the caller came: later changes count as done for this caller too.
    pub(super) arrival: OffsetDateTime,
}

impl LeasedRefresh<'_> {
    pub(super) async fn refresh(&self) -> Result<RefreshedAccount, Setback> {
        let found = self.ports.store.accounts.find_with_token(self.calls.lease.id).await?;
        let (account, token) = found.ok_or(RefreshAccountError::NotFound)?;
        let Some(token) = token else { return Err(self.known_dead(account.without_token())) };
        if let Some(joined) = self.joined(&account) {
            return joined;
        }
        if account.is_expired(self.ports.clock.now()) {
            return Err(self.known_dead(account));
        }
        let (account, read) = match account.refused {
            None => (account, false),
            Some(_) => (self.recheck_marked(account, &token).await?, true),
        };
        match account.renewable(self.ports.clock.now()) {
            Ok(()) => self.renew(account, &token).await,
            Err(NotRenewable::TooYoung) if read => Ok(self.answer(account, TokenOutcome::TooYoung)),
            Err(NotRenewable::TooYoung) => self.reread(account, &token).await,
            Err(NotRenewable::Expired) => Err(self.known_dead(account)),
        }
    }

    /// Result of another's refresh or link since the caller came; `None` where there was none.
    fn joined(&self, account: &InstagramAccount) -> Option<Result<RefreshedAccount, Setback>> {
        let now = self.ports.clock.now();
        // A moment ahead of the clock comes from another replica's, and tells nothing.
        let since = |moment: OffsetDateTime| moment > self.arrival && moment <= now;
        if account.refused.is_some() {
            return since(account.update_time).then(|| Err(self.known_dead(account.clone())));
        }
        if account.token_issue_time.is_some_and(since) {
            return Some(Ok(self.answer(account.clone(), TokenOutcome::Renewed)));
        }
        let young = account.renewable(now) == Err(NotRenewable::TooYoung);
        let read = young && since(account.profile_time);
        read.then(|| Ok(self.answer(account.clone(), TokenOutcome::TooYoung)))
    }

    /// Asks `/me` whether a token that was refused works again.
    async fn recheck_marked(
        &self,
        account: InstagramAccount,
        token: &LongLivedToken,
    ) -> Result<InstagramAccount, Setback> {
        match self.calls.check(&account, token).await? {
            TokenCheck::Refused(refusal) => self.mark_dead(account, refusal).await,
            TokenCheck::Alive(profile) => {
                let now = self.ports.clock.now();
                let unmarked = self.store(MAX_TRIES, (&account, token), None, |account| {
                    account.heal();
                    account.read_profile(profile.clone(), now);
                });
                match unmarked.await? {
                    Stored::Done(account) => Ok(account),
                    Stored::Superseded(_) => Err(Setback::LookAgain),
                }
            }
        }
    }

    /// Reads the profile only: the token is too young to be renewed.
    async fn reread(
        &self,
        account: InstagramAccount,
        token: &LongLivedToken,
    ) -> Result<RefreshedAccount, Setback> {
        match self.calls.check(&account, token).await? {
            TokenCheck::Refused(refusal) => self.mark_dead(account, refusal).await,
            TokenCheck::Alive(profile) => {
                self.take_profile((account, token), profile, TokenOutcome::TooYoung).await
            }
        }
    }

    async fn renew(
        &self,
        account: InstagramAccount,
        token: &LongLivedToken,
    ) -> Result<RefreshedAccount, Setback> {
        let grant = match self.calls.renew(token).await {
            Ok(grant) => grant,
            Err(CallError::Instagram(error)) => {
                self.count(CountedEvent::RenewalFailed(error.kind));
                if !error.rejects_token() {
                    return Err(CallError::Instagram(error).into());
                }
                let confirmed = self.calls.confirm(&account, token, error).await?;
                return self.mark_dead(account, confirmed).await;
            }
            Err(error) => return Err(error.into()),
        };
        let renewed = self.store(MAX_TRIES, (&account, token), Some(&grant), |account| {
            account.take_renewal(&grant);
        });
        match renewed.await? {
            Stored::Superseded(account) => Ok(self.answer(account, TokenOutcome::Renewed)),
            Stored::Done(account) => {
                self.count(CountedEvent::TokenRenewed);
                let read = self.read_renewed(&account, &grant.token).await;
                Ok(read.unwrap_or_else(|setback| {
                    // The renewal is stored, and stands whatever came of the reading.
                    if let Setback::Failed(error) = setback {
                        tracing::debug!(%error, "the profile could not be read after a renewal");
                    }
                    self.answer(account, TokenOutcome::Renewed)
                }))
            }
        }
    }

    /// Reads the profile after a stored renewal.
    async fn read_renewed(
        &self,
        account: &InstagramAccount,
        token: &LongLivedToken,
    ) -> Result<RefreshedAccount, Setback> {
        let profile = self.calls.read(account, token).await?;
        self.take_profile((account.clone(), token), profile, TokenOutcome::Renewed).await
    }

    /// Stores that Instagram refused the token twice, and answers so. One that is not marked yet is marked only where a
    /// witness does not say that it is the app's matter; one that is keeps its first reason, and the answer tells this
    /// one.
    async fn mark_dead<T>(
        &self,
        account: InstagramAccount,
        refusal: Refusal,
    ) -> Result<T, Setback> {
        let marked = if account.refused.is_some() {
            account.clone()
        } else {
            let verdict = self.calls.judge(Refused::Token).await?;
            if let Some(failure) = verdict.failure(&refusal.clone().into()) {
                return Err(failure.into());
            }
            account.dead(refusal.reason, self.ports.clock.now())
        };
        let Refusal { reason, facts } = refusal;
        let mark = retry_up_to(MAX_TRIES, &*self.ports.timer, || {
            let holder = self.calls.lease.holder;
            self.ports.store.account_writer.mark_refused(&marked, account.revision, holder)
        });
        match mark.await {
            Ok(()) => {
                if account.refused.is_none() {
                    self.count(CountedEvent::AccountRefused(reason));
                }
                let refused = InstagramAccount { refused: Some(reason), ..marked };
                Err(self.reauthorization(refused, facts))
            }
            // Somebody linked it anew meanwhile, or held the lease and may have heard better.
            Err(StoreError::Conflict | StoreError::LeaseLost) => Err(Setback::LookAgain),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores a profile, in one try: it may be read anew as well as stored again.
    async fn take_profile(
        &self,
        (account, token): (InstagramAccount, &LongLivedToken),
        profile: Profile,
        outcome: TokenOutcome,
    ) -> Result<RefreshedAccount, Setback> {
        let now = self.ports.clock.now();
        let read = self.store(ONCE, (&account, token), None, |account| {
            account.read_profile(profile.clone(), now);
        });
        match read.await? {
            Stored::Done(account) => Ok(self.answer(account, outcome)),
            Stored::Superseded(account) => Ok(self.answer(account, TokenOutcome::Renewed)),
        }
    }

    /// Stores `change` on top of others' changes, as [`store_on_top`] does.
    async fn store(
        &self,
        tries: u32,
        read: (&InstagramAccount, &LongLivedToken),
        grant: Option<&TokenGrant>,
        change: impl Fn(&mut InstagramAccount),
    ) -> Result<Stored, Setback> {
        let stored = store_on_top(self.ports, tries, read, grant, change).await;
        stored.map_err(|error| match error {
            NotStored::TokenGone(account) => self.known_dead(*account),
            NotStored::Gone => RefreshAccountError::NotFound.into(),
            NotStored::Store(error) => error.into(),
        })
    }

    fn count(&self, event: CountedEvent) {
        self.ports.metrics.count(event);
    }

    fn answer(&self, account: InstagramAccount, token_outcome: TokenOutcome) -> RefreshedAccount {
        RefreshedAccount { view: account.view(self.ports.clock.now()), token_outcome }
    }

    /// The answer for a dead token that Instagram did not refuse in this run.
    fn known_dead(&self, account: InstagramAccount) -> Setback {
        self.reauthorization(account, GraphFacts::default())
    }

    fn reauthorization(&self, account: InstagramAccount, facts: GraphFacts) -> Setback {
        let view = account.view(self.ports.clock.now());
        debug_assert_ne!(view.status, AccountStatus::Active, "only a dead token ends here");
        RefreshAccountError::ReauthorizationRequired(Box::new(DeadToken { view, facts })).into()
    }
}
