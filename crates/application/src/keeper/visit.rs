//! One visit: does what is due for an account that was claimed.

use std::time::{Duration, Instant};

use ig_domain::ports::{
    ClaimedAccount, CountedEvent, InstagramError, InstagramErrorKind, StoreError, VisitChange,
    VisitOutcome, VisitResult,
};
use ig_domain::{
    InstagramAccount, LeaseHolder, LongLivedToken, Profile, ReauthorizationReason, TokenGrant,
    TroubleCause, VisitTask,
};

use super::KeeperWork;
use super::places::Place;
use crate::guarded_update::{NotStored, Stored, store_on_top};
use crate::lease_extension::HeldLease;
use crate::leased_calls::{CallError, LeasedCalls, TokenCheck};
use crate::retry::MAX_TRIES;
use crate::subscriptions;
use crate::witness::{Refused, Verdict};

/// Time for which an account that cannot be read is put off, for all replicas: another one may have its key. As within
/// the last day of a token, since its end may not be readable either.
const UNREADABLE_DELAY: Duration = Duration::from_mins(15);

/// A visit under way.
pub(super) struct Visit<'a> {
    work: &'a KeeperWork,
    calls: LeasedCalls<'a>,
    account: InstagramAccount,
    token: LongLivedToken,
}

/// A visit that has Instagram's answers.
pub(super) enum Answered<'a> {
    /// Its finding is to be stored.
    Found(Box<Visit<'a>>, Box<Finding>),
    /// Nothing is to be stored.
    Ended(VisitOutcome),
}

/// Finding of a visit, as it is to be stored.
pub(super) struct Finding {
    /// The account as it is now; its revision is still the stored one. `None` where nothing is stored.
    account: Option<InstagramAccount>,
    /// The new token, where it was renewed.
    grant: Option<TokenGrant>,
    outcome: VisitOutcome,
    failure: Option<InstagramError>,
}

/// Task whose call failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Reading,
    Subscription,
    Renewal,
}

/// A call that failed, and the visit went on.
struct FailedCall {
    error: InstagramError,
    task: Task,
}

impl FailedCall {
    /// Whether it counts as a failure of the visit, and may say something about how Instagram treats the app. A refused
    /// subscription does neither: tokens are renewed all the same, and it has its own time of the next try.
    fn counts(&self) -> bool {
        let is_throttled = matches!(self.error.kind, InstagramErrorKind::RateLimited { .. });
        self.task != Task::Subscription || is_throttled
    }
}

/// Result of one step of a visit.
enum Step<T> {
    Done(T),
    /// It failed, and the visit goes on.
    Failed(InstagramError),
    /// The visit ends here.
    End(Box<Finding>),
}

impl Finding {
    fn new(account: InstagramAccount, outcome: VisitOutcome) -> Self {
        Self { account: Some(account), grant: None, outcome, failure: None }
    }

    /// Nothing is stored, and the account stays due.
    fn given_back(failure: Option<InstagramError>) -> Self {
        Self { account: None, grant: None, outcome: VisitOutcome::GivenBack, failure }
    }
}

/// Asks Instagram for what is due of a claimed account, whose claim was sent at `begin` by the timer, when its turn
/// comes.
pub(super) async fn ask<'a>(
    work: &'a KeeperWork,
    ClaimedAccount { id, found }: ClaimedAccount,
    holder: LeaseHolder,
    begin: Instant,
    place: &mut Place,
) -> Answered<'a> {
    match found {
        Ok((account, Some(token))) => {
            let lease = HeldLease::claimed(&work.ports, id, holder, begin);
            let has_waited = lease.keep(place.begin()).await;
            let calls = LeasedCalls { ports: &work.ports, lease };
            let visit = Visit { work, calls, account, token };
            match visit.find_out(has_waited).await {
                Ok(finding) => Answered::Found(Box::new(visit), Box::new(finding)),
                Err(error) => {
                    // The lease runs out by itself: so it is not visited again at once.
                    tracing::debug!(%error, "a visit could not be finished");
                    Answered::Ended(VisitOutcome::GivenBack)
                }
            }
        }
        unreadable => {
            let until = work.ports.clock.now() + UNREADABLE_DELAY;
            if let Err(error) = unreadable {
                tracing::warn!(account.id = %id, %error, "an account cannot be kept alive");
            }
            if let Err(error) = work.ports.store.due_accounts.put_off(id, holder, until).await {
                tracing::debug!(%error, "a visit was not put off");
            }
            Answered::Ended(VisitOutcome::Unreadable)
        }
    }
}

impl Answered<'_> {
    /// The outcome, if it is stored.
    pub(super) fn outcome(&self) -> VisitOutcome {
        match self {
            Self::Found(_, finding) => finding.outcome,
            Self::Ended(outcome) => *outcome,
        }
    }

    /// Instagram's last failure; `None` where it failed at nothing.
    pub(super) fn failure(&self) -> Option<&InstagramError> {
        match self {
            Self::Found(_, finding) => finding.failure.as_ref(),
            Self::Ended(_) => None,
        }
    }

    /// Stores what was found, and ends the lease. Returns the outcome of the visit.
    pub(super) async fn store(self) -> VisitOutcome {
        match self {
            Self::Found(visit, finding) => visit.finish(*finding).await,
            Self::Ended(outcome) => outcome,
        }
    }
}

impl Visit<'_> {
    async fn find_out(&self, has_waited: bool) -> Result<Finding, StoreError> {
        if self.work.is_stopping() || (has_waited && self.work.is_halted().await?) {
            return Ok(Finding::given_back(None));
        }
        let now = self.work.ports.clock.now();
        match self.account.due_task(now, &self.work.settings.plan) {
            // It was scheduled by another interval: storing it as it is schedules it anew.
            None => Ok(Finding::new(self.account.clone(), VisitOutcome::GivenBack)),
            Some(VisitTask::MarkExpired) => {
                Ok(Finding::new(self.account.expired(now), VisitOutcome::Expired))
            }
            Some(VisitTask::CheckDead) => self.check_dead().await,
            Some(VisitTask::Maintain { renew, read, subscribe }) => {
                self.maintain(renew, read, subscribe).await
            }
        }
    }

    /// Asks whether a token that was refused works again.
    async fn check_dead(&self) -> Result<Finding, StoreError> {
        let mut account = self.account.clone();
        let checked = self.calls.check(&self.account, &self.token).await;
        let now = self.work.ports.clock.now();
        let (outcome, failure) = match checked {
            Ok(TokenCheck::Alive(profile)) => {
                account.heal();
                account.read_profile(profile, now);
                (VisitOutcome::Healed, None)
            }
            Ok(TokenCheck::Refused(refusal)) => {
                account.check_failed(now, Some(refusal.reason));
                (VisitOutcome::StillRefused, None)
            }
            Err(CallError::Instagram(error)) if self.is_of_account(&error).await? => {
                account.check_failed(now, None);
                (VisitOutcome::StillRefused, Some(error))
            }
            Err(CallError::Instagram(error)) => {
                account.check_unanswered(now, self.work.ports.ids.draw(), error.retry_after());
                (VisitOutcome::Failed, Some(error))
            }
            Err(CallError::Store(error)) => return Err(error),
        };
        Ok(Finding { failure, ..Finding::new(account, outcome) })
    }

    /// Whether a failed check is Instagram's answer about this account: neither an outage, nor throttling, nor the app's
    /// matter.
    async fn is_of_account(&self, error: &InstagramError) -> Result<bool, StoreError> {
        match TroubleCause::from(error.kind) {
            TroubleCause::InstagramUnavailable | TroubleCause::RateLimited => Ok(false),
            TroubleCause::InstagramUnexpected => Ok(true),
            TroubleCause::AppMisconfigured => {
                Ok(self.calls.judge(Refused::App).await? == Verdict::Account)
            }
        }
    }

    /// Reads the profile, reconciles the subscription and renews the token, as far as each is due. The renewal comes
    /// last: a renewed token is stored at once.
    async fn maintain(
        &self,
        renew: bool,
        read: bool,
        subscribe: bool,
    ) -> Result<Finding, StoreError> {
        let mut account = self.account.clone();
        let (mut grant, mut failures) = (None, Vec::new());
        if read {
            match self.read().await? {
                Step::Done(profile) => account.read_profile(profile, self.work.ports.clock.now()),
                Step::Failed(error) => failures.push(FailedCall { error, task: Task::Reading }),
                Step::End(finding) => return Ok(*finding),
            }
        }
        // Where the profile cannot be read, this fares no better, and comes again with the next reading.
        if subscribe && failures.is_empty() && !self.work.is_stopping() {
            let failed = self.subscribe(&mut account).await?;
            failures.extend(failed.map(|error| FailedCall { error, task: Task::Subscription }));
        }
        if renew && !self.work.is_stopping() {
            match self.renew().await? {
                Step::Done(renewed) => {
                    account.take_renewal(&renewed);
                    grant = Some(renewed);
                }
                Step::Failed(error) => failures.push(FailedCall { error, task: Task::Renewal }),
                Step::End(finding) => return Ok(*finding),
            }
        }
        self.settle(&mut account, &failures);
        let outcome = if failures.is_empty() { VisitOutcome::Done } else { VisitOutcome::Failed };
        let failure = failures.into_iter().rfind(FailedCall::counts).map(|failed| failed.error);
        Ok(Finding { grant, failure, ..Finding::new(account, outcome) })
    }

    /// Notes in the account how its visit ended.
    fn settle(&self, account: &mut InstagramAccount, failures: &[FailedCall]) {
        let counted = failures.iter().filter(|failed| failed.counts());
        let Some(wait) = counted.map(|failed| failed.error.retry_after()).max() else {
            if account.failures.trouble.is_none() {
                account.visit_succeeded();
            }
            return;
        };
        let of_renewal = failures.iter().find(|failed| failed.task == Task::Renewal);
        let cause = of_renewal.map(|failed| TroubleCause::from(failed.error.kind));
        let (now, draw) = (self.work.ports.clock.now(), self.work.ports.ids.draw());
        account.visit_failed(now, cause, draw, wait);
    }

    /// Reconciles the subscription, and notes in the account what came of it. A failure, one that refuses the token too,
    /// says nothing about the token: it is returned.
    async fn subscribe(
        &self,
        account: &mut InstagramAccount,
    ) -> Result<Option<InstagramError>, StoreError> {
        let plan = &self.work.settings.plan;
        match subscriptions::reconcile(&self.calls, account, &self.token, plan).await {
            Ok(()) => Ok(None),
            Err(CallError::Instagram(error)) => {
                account.subscription_failed(error.kind.into(), self.work.ports.clock.now());
                Ok(Some(error))
            }
            Err(CallError::Store(error)) => Err(error),
        }
    }

    async fn read(&self) -> Result<Step<Profile>, StoreError> {
        match self.calls.check(&self.account, &self.token).await {
            Ok(TokenCheck::Alive(profile)) => Ok(Step::Done(profile)),
            Ok(TokenCheck::Refused(refusal)) => self.judged(refusal.into()).await,
            Err(CallError::Instagram(error)) => self.judged(error).await,
            Err(CallError::Store(error)) => Err(error),
        }
    }

    async fn renew(&self) -> Result<Step<TokenGrant>, StoreError> {
        let refusal = match self.calls.renew(&self.token).await {
            Ok(grant) => return Ok(Step::Done(grant)),
            Err(CallError::Instagram(error)) => error,
            Err(CallError::Store(error)) => return Err(error),
        };
        self.work.ports.metrics.count(CountedEvent::RenewalFailed(refusal.kind));
        if !refusal.rejects_token() {
            return self.judged(refusal).await;
        }
        match self.calls.confirm(&self.account, &self.token, refusal).await {
            Ok(confirmed) => self.judged(confirmed.into()).await,
            Err(CallError::Instagram(error)) => Ok(Step::Failed(error)),
            Err(CallError::Store(error)) => Err(error),
        }
    }

    /// Consequence of a failure, after a witness was asked where it is a refusal.
    async fn judged<T>(&self, error: InstagramError) -> Result<Step<T>, StoreError> {
        let refused = match error.kind {
            InstagramErrorKind::TokenRejected(_) => Refused::Token,
            InstagramErrorKind::AppMisconfigured => Refused::App,
            _ => return Ok(Step::Failed(error)),
        };
        let verdict = self.calls.judge(refused).await?;
        Ok(match (verdict, error.kind) {
            (Verdict::Account, InstagramErrorKind::TokenRejected(reason)) => {
                Step::End(Box::new(self.refused(reason, error)))
            }
            (Verdict::App(_), _) => Step::End(Box::new(Finding::given_back(Some(error)))),
            (verdict, _) => Step::Failed(verdict.failure(&error).unwrap_or(error)),
        })
    }

    /// The token is dead by Instagram's word.
    fn refused(&self, reason: ReauthorizationReason, refusal: InstagramError) -> Finding {
        let account = self.account.dead(reason, self.work.ports.clock.now());
        Finding { failure: Some(refusal), ..Finding::new(account, VisitOutcome::Refused) }
    }

    /// Stores what was found, and ends the lease.
    async fn finish(&self, Finding { account, grant, outcome, .. }: Finding) -> VisitOutcome {
        let ports = &self.work.ports;
        let change = account.map(|account| VisitChange {
            account: account.succeeding(&self.account, ports.clock.now()),
            former_revision: self.account.revision,
            former_profile_time: self.account.profile_time,
            token: grant.as_ref().map(|grant| grant.token.clone()),
        });
        let marked = change.as_ref().and_then(|change| change.account.refused);
        let result = VisitResult { id: self.account.id, change };
        let lease = &self.calls.lease;
        match lease.keep(self.work.results.store(ports, lease.holder, result)).await {
            Ok(true) => {
                match (outcome, marked) {
                    (VisitOutcome::Refused, Some(reason)) => {
                        ports.metrics.count(CountedEvent::AccountRefused(reason));
                    }
                    _ if grant.is_some() => ports.metrics.count(CountedEvent::TokenRenewed),
                    _ => {}
                }
                outcome
            }
            Ok(false) => self.keep_token(grant).await,
            Err(error) => {
                tracing::warn!(account.id = %self.account.id, %error, "a visit was not stored");
                VisitOutcome::GivenBack
            }
        }
    }

    /// Stores a renewed token on top of what others stored meanwhile, and ends the lease. Anything else that was found
    /// is found again by the next visit.
    async fn keep_token(&self, grant: Option<TokenGrant>) -> VisitOutcome {
        let Some(grant) = grant else { return VisitOutcome::GivenBack };
        let read = (&self.account, &self.token);
        let ports = &self.work.ports;
        let stored = store_on_top(ports, MAX_TRIES, read, Some(&grant), |account| {
            account.take_renewal(&grant);
        });
        let lease = &self.calls.lease;
        let stored = lease.keep(stored).await;
        lease.release().await;
        match stored {
            Ok(Stored::Done(_)) => {
                ports.metrics.count(CountedEvent::TokenRenewed);
                VisitOutcome::Done
            }
            Err(NotStored::Store(error)) => {
                tracing::warn!(account.id = %self.account.id, %error, "a renewed token was not stored");
                VisitOutcome::GivenBack
            }
            // Another token, which may be this one, where the answer to its write was lost; or none any more.
            Ok(Stored::Superseded(_)) | Err(NotStored::TokenGone(_) | NotStored::Gone) => {
                VisitOutcome::GivenBack
            }
        }
    }
}
