//! The work of linking: an attempt is taken up, carried on from wherever it stands, and ended.

mod commit;

use std::sync::Arc;

use ig_domain::ports::{
    AccountKey, AccountReader, Clock, CountedEvent, GraphFacts, Ids, Instagram, InstagramError,
    InstagramErrorKind, LinkAttempts, Metrics, PendingLinks, StoreError, Timer,
};
use ig_domain::{
    Consent, LeaseHolder, LinkAttempt, LinkEnd, LinkOutcome, LinkRefusal, PendingLink, Phase,
    Presentation, Profile, Scope, ShortLivedGrant, StateRejection, TokenGrant,
};
use time::OffsetDateTime;

use super::{LinkAccountError, LinkedAccount};
use crate::Ports;
use crate::lease_extension::while_extending;
use crate::lease_wait::LeaseWait;
use crate::retry::retry;

/// The work of [`LinkAccount`](super::LinkAccount): a future that may be dropped between any two calls to a
/// port; the same presentation then goes on from what is stored.
pub struct LinkWork {
    /// Store of accounts.
    accounts: Arc<dyn AccountReader>,
    /// Store of states.
    pending_links: Arc<dyn PendingLinks>,
    /// Store of attempts.
    attempts: Arc<dyn LinkAttempts>,
    /// Instagram.
    instagram: Arc<dyn Instagram>,
    /// Business time.
    clock: Arc<dyn Clock>,
    /// Real time, for waiting.
    timer: Arc<dyn Timer>,
    /// Source of lease holders and account ids.
    ids: Arc<dyn Ids>,
    /// Counts of what becomes of links.
    metrics: Arc<dyn Metrics>,
}

/// Result of taking up an attempt.
enum TakenUp {
    /// This run has begun it, and is the one that may send its code: it is marked as sent already.
    Begun(Box<LinkAttempt>),
    /// This run holds what another one has left, and carries it on.
    Held(Box<LinkAttempt>),
    /// Another holder carries it on.
    Busy,
    /// It has ended.
    Ended(LinkOutcome),
}

/// End of a link that was carried on: the account as it was stored, or why there is none.
type End = Result<LinkedAccount, LinkRefusal>;

/// Reason for which a held attempt was not carried to its end.
enum LinkSetback {
    /// Another holder took it over.
    LeaseLost,
    /// It can be carried on later, from `phase`.
    Failed { phase: Box<Phase>, error: LinkAccountError },
}

impl LinkSetback {
    fn from_store(error: StoreError, phase: Phase) -> Self {
        match error {
            StoreError::LeaseLost => Self::LeaseLost,
            error => Self::Failed { phase: Box::new(phase), error: error.into() },
        }
    }

    fn from_instagram(error: InstagramError, phase: Phase) -> Self {
        Self::Failed { phase: Box::new(phase), error: LinkAccountError::Instagram(error) }
    }
}

impl LinkWork {
    /// The work over `ports`.
    #[must_use]
    pub fn new(ports: &Ports) -> Self {
        Self {
            accounts: ports.store.accounts.clone(),
            pending_links: ports.store.pending_links.clone(),
            attempts: ports.store.link_attempts.clone(),
            instagram: ports.instagram.clone(),
            clock: ports.clock.clone(),
            timer: ports.timer.clone(),
            ids: ports.ids.clone(),
            metrics: ports.metrics.clone(),
        }
    }

    /// Carries the presentation's attempt to its end, or waits for the holder that does.
    ///
    /// # Errors
    ///
    /// Any [`LinkAccountError`] but `Panicked`.
    #[tracing::instrument(name = "link_account", level = "debug", skip_all)]
    pub async fn run(&self, presented: &Presentation) -> Result<LinkedAccount, LinkAccountError> {
        let wait = LeaseWait::new(&*self.timer);
        let mut was_there = false;
        loop {
            // A lost lease is taken anew as somebody else: a late write of the former holder finds none.
            let holder = self.ids.lease_holder();
            let taken_up = self.take_up(presented, holder).await;
            let (attempt, carried) = match taken_up.map_err(|error| explained(error, was_there))? {
                TakenUp::Ended(outcome) => return self.answer(outcome).await,
                TakenUp::Busy => {
                    was_there = true;
                    wait.pause().await?;
                    continue;
                }
                TakenUp::Begun(attempt) => {
                    let carried = Box::pin(self.send_code(&attempt, holder, presented)).await;
                    (attempt, carried)
                }
                TakenUp::Held(attempt) => {
                    let carried = Box::pin(self.carry_on(&attempt, holder, presented)).await;
                    (attempt, carried)
                }
            };
            was_there = true;
            match carried {
                Ok(end) => return end.map_err(LinkAccountError::Refused),
                Err(LinkSetback::LeaseLost) => wait.pause().await?,
                Err(LinkSetback::Failed { phase, error }) => {
                    self.give_back(&attempt, holder, &phase).await?;
                    return Err(error);
                }
            }
        }
    }

    async fn take_up(
        &self,
        presented: &Presentation,
        holder: LeaseHolder,
    ) -> Result<TakenUp, LinkAccountError> {
        let code = presented.code.hash();
        if let Some(attempt) = self.attempts.find(&code).await? {
            attempt.admit(presented, self.clock.now())?;
            if let Phase::Ended { outcome, .. } = attempt.phase {
                return Ok(TakenUp::Ended(outcome));
            }
            let claimed = self.attempts.claim(&code, holder).await?;
            return Ok(claimed.map_or(TakenUp::Busy, |attempt| TakenUp::Held(Box::new(attempt))));
        }
        let pending = self.pending_links.find(&presented.state.hash()).await?;
        let mut pending = pending.ok_or(StateRejection::Unknown)?;
        if pending.spent_by == Some(code) {
            // Somebody began this very attempt since we looked for it.
            let begun = self.attempts.find(&code).await?;
            return begun.map(|_| TakenUp::Busy).ok_or(StateRejection::Used.into());
        }
        let now = self.clock.now();
        match pending.admit(presented, now) {
            Err(StateRejection::Used) => pending = self.reopened(pending, presented, now).await?,
            admitted => admitted?,
        }
        let attempt = LinkAttempt::begin(pending, presented, now);
        match self.attempts.create(&attempt, holder).await {
            Ok(()) => Ok(TakenUp::Begun(Box::new(attempt))),
            Err(StoreError::Conflict) => Ok(TakenUp::Busy),
            Err(error @ StoreError::Unavailable(_)) => {
                // It may be stored, as sent.
                self.give_back(&attempt, holder, &Phase::Unsent).await?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The spent state of a hosted consent as an unspent one, where Instagram never took the code that spent it: the
    /// person, who knows of the first code as little as of the second, goes on.
    async fn reopened(
        &self,
        spent: PendingLink,
        presented: &Presentation,
        now: OffsetDateTime,
    ) -> Result<PendingLink, LinkAccountError> {
        let by = spent.spent_by.filter(|_| spent.end != LinkEnd::Caller);
        let by = by.ok_or(StateRejection::Used)?;
        let unspent = PendingLink { spent_by: None, ..spent };
        unspent.admit(presented, now)?;
        let reopened = self.attempts.discard_unsent(&by, &unspent.state).await?;
        if reopened { Ok(unspent) } else { Err(StateRejection::Used.into()) }
    }

    /// Carries on what another run has left.
    async fn carry_on(
        &self,
        attempt: &LinkAttempt,
        holder: LeaseHolder,
        presented: &Presentation,
    ) -> Result<End, LinkSetback> {
        match &attempt.phase {
            Phase::Unsent => {
                let marked = self.attempts.advance(&attempt.code, holder, &Phase::Sent).await;
                marked.map_err(|error| LinkSetback::from_store(error, Phase::Unsent))?;
                self.send_code(attempt, holder, presented).await
            }
            Phase::Exchanged(grant) if !grant.is_stale(self.clock.now()) => {
                self.use_grant(attempt, holder, grant.clone(), async { Ok(()) }).await
            }
            Phase::Sent | Phase::Exchanged(_) => {
                self.refuse(attempt, holder, LinkRefusal::Interrupted).await
            }
            Phase::Ended { .. } => Err(LinkSetback::LeaseLost),
        }
    }

    /// Sends the code of an attempt that is marked as sent, and uses the grant that it brings.
    async fn send_code(
        &self,
        attempt: &LinkAttempt,
        holder: LeaseHolder,
        presented: &Presentation,
    ) -> Result<End, LinkSetback> {
        let call = self.instagram.exchange_code(&presented.code, &attempt.redirect_uri);
        let exchange = match self.keeping_lease(attempt, holder, &Phase::Sent, call).await {
            Ok(exchange) => exchange,
            Err(error) => return self.refuse(attempt, holder, not_exchanged(error)?).await,
        };
        let grant = ShortLivedGrant {
            token: exchange.token,
            consent: Consent {
                receive_time: self.clock.now(),
                user_id: exchange.user_id,
                granted_scopes: exchange.granted_scopes,
            },
        };
        let phase = Phase::Exchanged(grant.clone());
        let store = retry(&*self.timer, || self.attempts.advance(&attempt.code, holder, &phase));
        self.use_grant(attempt, holder, grant, store).await
    }

    /// Turns a grant into an account, while `store` stores the grant: Instagram's answers to it may be asked for again.
    async fn use_grant(
        &self,
        attempt: &LinkAttempt,
        holder: LeaseHolder,
        grant: ShortLivedGrant,
        store: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<End, LinkSetback> {
        let granted = &grant.consent.granted_scopes;
        if granted.lack(&Scope::basic()) {
            let missing = attempt.scopes.missing_from(granted);
            return self.refuse(attempt, holder, LinkRefusal::ScopeMissing { missing }).await;
        }
        let phase = Phase::Exchanged(grant.clone());
        let calls = self.extend_and_read(&grant);
        let calls = self.keeping_lease(attempt, holder, &phase, calls);
        let (stored, answers) = futures_util::join!(store, calls);
        stored.map_err(|error| LinkSetback::from_store(error, phase))?;
        match answers {
            // The store has come too late: what was answered is as old as the grant.
            Ok(_) if grant.is_stale(self.clock.now()) => {
                self.refuse(attempt, holder, LinkRefusal::Interrupted).await
            }
            Ok((token, reading)) => self.commit(attempt, holder, grant, &token, reading).await,
            Err(error) if refuses_new_token(&error) => {
                self.refuse(attempt, holder, LinkRefusal::CodeRejected(error.facts)).await
            }
            Err(error) => Err(LinkSetback::from_instagram(error, Phase::Exchanged(grant))),
        }
    }

    /// Waits for Instagram, and keeps the lease on the attempt in its `phase` meanwhile.
    async fn keeping_lease<T>(
        &self,
        attempt: &LinkAttempt,
        holder: LeaseHolder,
        phase: &Phase,
        call: impl Future<Output = T>,
    ) -> T {
        let extend = || self.attempts.advance(&attempt.code, holder, phase);
        while_extending(&*self.timer, call, extend).await
    }

    /// The two calls that follow the exchange, at the same time. The reading is as old as the token: others may be
    /// refused until it is stored.
    async fn extend_and_read(
        &self,
        grant: &ShortLivedGrant,
    ) -> Result<(TokenGrant, (Profile, OffsetDateTime)), InstagramError> {
        let extend = async {
            let (token, lifetime) = self.instagram.extend_token(&grant.token).await?;
            let now = self.clock.now();
            Ok((TokenGrant::received(token, lifetime, now), now))
        };
        let read = self.instagram.profile(grant.token.text());
        match futures_util::join!(extend, read) {
            (Ok((token, now)), Ok(profile)) => Ok((token, (profile, now))),
            // A refusal of the token decides; any other failure may pass.
            (Err(_), Err(error)) if refuses_new_token(&error) => Err(error),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    async fn refuse(
        &self,
        attempt: &LinkAttempt,
        holder: LeaseHolder,
        refusal: LinkRefusal,
    ) -> Result<End, LinkSetback> {
        let outcome = LinkOutcome::Refused(refusal.clone());
        let phase = Phase::Ended { outcome: outcome.clone(), end_time: self.clock.now() };
        let ended = retry(&*self.timer, || self.attempts.advance(&attempt.code, holder, &phase));
        ended.await.map_err(|error| LinkSetback::from_store(error, phase.clone()))?;
        self.metrics.count(CountedEvent::LinkEnded(outcome));
        Ok(Err(refusal))
    }

    /// Releases a lease after a failure, and counts the link as `phase` leaves it. A code that was not taken must be
    /// stored as such before the caller is told that the same call may be made again.
    async fn give_back(
        &self,
        attempt: &LinkAttempt,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        let released = retry(&*self.timer, || self.attempts.release(&attempt.code, holder, phase));
        match released.await {
            Ok(()) => self.metrics.count(match phase {
                Phase::Ended { outcome, .. } => CountedEvent::LinkEnded(outcome.clone()),
                _ => CountedEvent::LinkPostponed(attempt.code),
            }),
            // Somebody took over, or a release whose answer was lost has done it.
            Err(StoreError::LeaseLost) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Answers a link that had ended before.
    async fn answer(&self, outcome: LinkOutcome) -> Result<LinkedAccount, LinkAccountError> {
        match outcome {
            LinkOutcome::Refused(refusal) => Err(LinkAccountError::Refused(refusal)),
            LinkOutcome::Linked { account, created, missing_scopes } => {
                let found = self.accounts.find(&AccountKey::Id(account)).await?;
                let account = found.ok_or(LinkAccountError::AccountNotFound)?;
                let view = account.view(self.clock.now());
                Ok(LinkedAccount { view, created, missing_scopes })
            }
        }
    }
}

/// The error of taking up an attempt. One that was there and is gone was erased with the data of its person.
fn explained(error: LinkAccountError, was_there: bool) -> LinkAccountError {
    match error {
        LinkAccountError::StateRejected(StateRejection::Unknown) if was_there => {
            LinkAccountError::Refused(code_rejected())
        }
        error => error,
    }
}

/// The refusal of a link whose person has removed the app.
fn code_rejected() -> LinkRefusal {
    LinkRefusal::CodeRejected(GraphFacts::default())
}

/// Whether Instagram refuses the token that it has only just given.
fn refuses_new_token(error: &InstagramError) -> bool {
    error.rejects_token() || error.kind == InstagramErrorKind::SessionUnknown
}

/// Meaning of a failed exchange for the code: refused for good, or still good for the same call.
fn not_exchanged(error: InstagramError) -> Result<LinkRefusal, LinkSetback> {
    match error.kind {
        InstagramErrorKind::NoAnswer => Ok(LinkRefusal::Interrupted),
        InstagramErrorKind::Unreadable => Ok(LinkRefusal::Unreadable(error.facts)),
        InstagramErrorKind::CodeRejected
        | InstagramErrorKind::TokenRejected(_)
        | InstagramErrorKind::SessionUnknown => Ok(LinkRefusal::CodeRejected(error.facts)),
        InstagramErrorKind::NotSent
        | InstagramErrorKind::Unavailable
        | InstagramErrorKind::Unconfirmed
        | InstagramErrorKind::RateLimited { .. }
        | InstagramErrorKind::RedirectUriRejected
        | InstagramErrorKind::AppMisconfigured
        | InstagramErrorKind::Unexpected => Err(LinkSetback::from_instagram(error, Phase::Unsent)),
    }
}
