//! One refresh under its lease.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use ig_domain::ports::{CountedEvent, GraphFacts, InstagramError, InstagramErrorKind, StoreError};
use ig_domain::{
    AccountId, AccountStatus, InstagramAccount, LeaseHolder, LineLimit, LongLivedToken,
    NotRenewable, Profile, ReauthorizationReason, TokenGrant,
};
use time::OffsetDateTime;

use super::{RefreshAccountError, RefreshWork, RefreshedAccount, Setback};
use crate::lease_extension::while_extending;
use crate::refresh_account::{DeadToken, TokenOutcome};
use crate::retry::{MAX_TRIES, ONCE, retry_up_to};

/// Limits the log lines about refusals that Instagram takes back: one line in ten seconds.
static UNCONFIRMED_LINES: LazyLock<LineLimit<()>> =
    LazyLock::new(|| LineLimit::new(Duration::from_secs(10)));

/// One refresh under its lease.
pub(super) struct LeasedRefresh<'a> {
    pub(super) work: &'a RefreshWork,
    pub(super) id: AccountId,
    pub(super) holder: LeaseHolder,
    /// Moment at which the caller came: later changes count as done for this caller too.
    pub(super) arrival: OffsetDateTime,
}

/// Answer of `/me` about a token.
enum TokenCheck {
    /// The token works.
    Alive(Profile),
    /// The token was refused, twice in all.
    Dead(Refusal),
}

/// The second refusal of a token: its reason, and Instagram's own numbers for it.
struct Refusal {
    reason: ReauthorizationReason,
    facts: GraphFacts,
}

impl Refusal {
    /// The refusal that `error` is, if it is one of the token.
    fn of(error: &InstagramError) -> Option<Self> {
        let InstagramErrorKind::TokenRejected(reason) = error.kind else { return None };
        Some(Self { reason, facts: error.facts.clone() })
    }
}

/// Result of storing a change.
enum Stored {
    /// The change is stored.
    Done(InstagramAccount),
    /// The account has another token since, to which the change does not belong.
    Superseded(InstagramAccount),
}

impl LeasedRefresh<'_> {
    pub(super) async fn refresh(&self) -> Result<RefreshedAccount, Setback> {
        let found = self.work.accounts.find_with_token(self.id).await?;
        let (account, token) = found.ok_or(RefreshAccountError::NotFound)?;
        let Some(token) = token else { return Err(self.known_dead(account.without_token())) };
        if let Some(joined) = self.joined(&account) {
            return joined;
        }
        if account.is_expired(self.work.clock.now()) {
            return Err(self.known_dead(account));
        }
        let (account, read) = match account.refused {
            None => (account, false),
            Some(_) => (self.recheck_marked(account, &token).await?, true),
        };
        match account.renewable(self.work.clock.now()) {
            Ok(()) => self.renew(account, &token).await,
            Err(NotRenewable::TooYoung) if read => Ok(self.answer(account, TokenOutcome::TooYoung)),
            Err(NotRenewable::TooYoung) => self.reread(account, &token).await,
            Err(NotRenewable::Expired) => Err(self.known_dead(account)),
        }
    }

    /// Result of another's refresh or link since the caller came; `None` where there was none.
    fn joined(&self, account: &InstagramAccount) -> Option<Result<RefreshedAccount, Setback>> {
        let now = self.work.clock.now();
        // A moment ahead of the clock comes from another replica's, and tells nothing.
        let since = |moment: OffsetDateTime| moment > self.arrival && moment <= now;
        if account.refused.is_some() {
            return since(account.update_time).then(|| Err(self.known_dead(account.clone())));
        }
        if since(account.token_issue_time) {
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
        match self.ask_twice(&account, token).await? {
            TokenCheck::Dead(refusal) => self.mark_dead(account, refusal).await,
            TokenCheck::Alive(profile) => {
                let now = self.work.clock.now();
                let unmarked = self.store(MAX_TRIES, (&account, token), None, |account| {
                    account.refused = None;
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
        match self.ask_twice(&account, token).await? {
            TokenCheck::Dead(refusal) => self.mark_dead(account, refusal).await,
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
        self.extend_lease().await?;
        let renewal = self.keeping_lease(self.work.instagram.renew_token(token)).await;
        let failed = |error: &InstagramError| self.count(CountedEvent::RenewalFailed(error.kind));
        let grant = match renewal.inspect_err(failed) {
            Ok((token, lifetime)) => TokenGrant::received(token, lifetime, self.work.clock.now()),
            Err(refusal) if refusal.rejects_token() => {
                let confirmed = self.confirm(&account, token, refusal).await?;
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
        let profile = self.read(account, token).await??;
        self.take_profile((account.clone(), token), profile, TokenOutcome::Renewed).await
    }

    /// Reads the profile, which must be this account's.
    async fn read(
        &self,
        account: &InstagramAccount,
        token: &LongLivedToken,
    ) -> Result<Result<Profile, InstagramError>, Setback> {
        self.extend_lease().await?;
        let read = self.keeping_lease(self.work.instagram.profile(token.text())).await;
        Ok(read.and_then(|profile| {
            let own = profile.professional_account_id == account.professional_account_id;
            if own { Ok(profile) } else { Err(InstagramErrorKind::Unreadable.into()) }
        }))
    }

    /// Asks `/me`, and once more where it refuses the token.
    async fn ask_twice(
        &self,
        account: &InstagramAccount,
        token: &LongLivedToken,
    ) -> Result<TokenCheck, Setback> {
        match self.read(account, token).await? {
            Ok(profile) => Ok(TokenCheck::Alive(profile)),
            Err(error) if error.rejects_token() => match self.read(account, token).await? {
                Ok(profile) => Ok(TokenCheck::Alive(profile)),
                Err(again) => Refusal::of(&again)
                    .map(TokenCheck::Dead)
                    .ok_or_else(|| self.unconfirmed(error, Some(&again)).into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// The second refusal, by `/me`, of a token whose renewal was refused; an error where `/me` does not confirm it.
    async fn confirm(
        &self,
        account: &InstagramAccount,
        token: &LongLivedToken,
        refusal: InstagramError,
    ) -> Result<Refusal, Setback> {
        let again = self.read(account, token).await?.err();
        let confirmed = again.as_ref().and_then(Refusal::of);
        confirmed.ok_or_else(|| self.unconfirmed(refusal, again.as_ref()).into())
    }

    /// The error for a refusal that was not confirmed: nothing follows from it. `again` is the failure of the second
    /// asking; `None` where the token worked.
    fn unconfirmed(
        &self,
        refusal: InstagramError,
        again: Option<&InstagramError>,
    ) -> InstagramError {
        if let Some(left_out) = UNCONFIRMED_LINES.admit((), Instant::now()) {
            let facts = &refusal.facts;
            tracing::warn!(
                account.id = %self.id,
                instagram_code = facts.code,
                instagram_subcode = facts.subcode,
                fbtrace_id = facts.fbtrace_id,
                again = again.map_or_else(|| "the token serves".to_owned(), ToString::to_string),
                left_out,
                "Instagram is of two minds: it refused a token and did not confirm it"
            );
        }
        InstagramError { kind: InstagramErrorKind::Unconfirmed, ..refusal }
    }

    /// Stores that Instagram refused the token twice, and answers so.
    async fn mark_dead<T>(
        &self,
        account: InstagramAccount,
        Refusal { reason, facts }: Refusal,
    ) -> Result<T, Setback> {
        let marked = InstagramAccount { refused: Some(reason), ..account.clone() };
        let marked = marked.succeeding(&account, self.work.clock.now());
        let mark = retry_up_to(MAX_TRIES, &*self.work.timer, || {
            self.work.account_writer.mark_refused(&marked, account.revision, self.holder)
        });
        match mark.await {
            Ok(()) => {
                if account.refused.is_none() {
                    self.count(CountedEvent::AccountRefused(reason));
                }
                Err(self.reauthorization(marked, facts))
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
        let now = self.work.clock.now();
        let read = self.store(ONCE, (&account, token), None, |account| {
            account.read_profile(profile.clone(), now);
        });
        match read.await? {
            Stored::Done(account) => Ok(self.answer(account, outcome)),
            Stored::Superseded(account) => Ok(self.answer(account, TokenOutcome::Renewed)),
        }
    }

    /// Stores `change` on top of others' changes, unless they changed the token that it belongs to. Each call to the
    /// store is made up to `tries` times while it is unavailable.
    async fn store(
        &self,
        tries: u32,
        (read, token): (&InstagramAccount, &LongLivedToken),
        grant: Option<&TokenGrant>,
        change: impl Fn(&mut InstagramAccount),
    ) -> Result<Stored, Setback> {
        let mut former = read.clone();
        loop {
            let mut next = former.clone();
            change(&mut next);
            let next = next.succeeding(&former, self.work.clock.now());
            let write = retry_up_to(tries, &*self.work.timer, || {
                let renewed = grant.map(|grant| grant.token.clone());
                self.work.account_writer.update(&next, former.revision, renewed)
            });
            match write.await {
                Ok(()) => return Ok(Stored::Done(next)),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
            // Giving up here would drop a renewed token just as well.
            let find = || self.work.accounts.find_with_token(self.id);
            let found = retry_up_to(tries, &*self.work.timer, find).await?;
            let (account, stored) = found.ok_or(RefreshAccountError::NotFound)?;
            let Some(stored) = stored else { return Err(self.known_dead(account.without_token())) };
            former = account;
            if !stored.text().is(token.text()) {
                // It may be our own write, whose answer was lost.
                return Ok(Stored::Superseded(former));
            }
        }
    }

    async fn extend_lease(&self) -> Result<(), Setback> {
        match self.work.leases.extend(self.id, self.holder).await {
            // Somebody else may have worked, and left, since.
            Err(StoreError::LeaseLost) => Err(Setback::LookAgain),
            extended => Ok(extended?),
        }
    }

    /// Waits for Instagram, and keeps the lease meanwhile.
    async fn keeping_lease<T>(&self, call: impl Future<Output = T>) -> T {
        let Self { work, id, holder, .. } = self;
        while_extending(&*work.timer, call, || work.leases.extend(*id, *holder)).await
    }

    fn count(&self, event: CountedEvent) {
        self.work.metrics.count(event);
    }

    fn answer(&self, account: InstagramAccount, token_outcome: TokenOutcome) -> RefreshedAccount {
        RefreshedAccount { view: account.view(self.work.clock.now()), token_outcome }
    }

    /// The answer for a dead token that Instagram did not refuse in this run.
    fn known_dead(&self, account: InstagramAccount) -> Setback {
        self.reauthorization(account, GraphFacts::default())
    }

    fn reauthorization(&self, account: InstagramAccount, facts: GraphFacts) -> Setback {
        let view = account.view(self.work.clock.now());
        debug_assert_ne!(view.status, AccountStatus::Active, "only a dead token ends here");
        RefreshAccountError::ReauthorizationRequired(Box::new(DeadToken { view, facts })).into()
    }
}
