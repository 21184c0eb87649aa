//! The keeper: visits every account when it is due, so that no token dies unseen.

mod budget;
mod places;
mod results;
mod visit;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ig_domain::ports::{
    Breaker, ClaimedAccount, CountedEvent, InstagramErrorKind, StoreError, ThrottleScope,
    VisitOutcome,
};
use ig_domain::{KeepingPlan, LeaseHolder, LineLimit};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::budget::Budget;
use self::places::{Place, Places};
use self::results::Results;
use self::visit::Answered;
use crate::{Ports, StorePorts, witness};

/// Time after which free places are filled though they are few.
const MAX_FREE_TIME: Duration = Duration::from_millis(20);

/// Interval between two looks at the breaker, which another replica may have opened or closed.
const BREAKER_INTERVAL: Duration = Duration::from_secs(1);

/// Interval between two witnesses that are sent while the breaker is open.
const PROBE_INTERVAL: Duration = Duration::from_mins(5);

/// Interval between two sweeps of accounts that have expired, or that an older version changed.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// Maximum number of accounts that one round of a sweep touches, so that it never holds the store for long.
const MAX_SWEPT_ACCOUNTS: u64 = 500;

/// Settings of a keeper.
#[derive(Clone, Debug)]
pub struct KeeperSettings {
    /// Maximum number of visits that make their calls at the same time, at least 1. As many results may wait meanwhile.
    pub in_flight: usize,
    /// Readings and subscriptions: the store's own plan.
    pub plan: KeepingPlan,
    /// Interval between two looks for due accounts while there are none.
    pub look_interval: Duration,
}

/// Visits due accounts.
pub struct Keeper {
    work: Arc<KeeperWork>,
    tracker: TaskTracker,
}

/// The work of [`Keeper`], without tasks of its own: its futures may be dropped between any two calls to a port.
pub struct KeeperWork {
    ports: Ports,
    settings: KeeperSettings,
    budget: Budget,
    places: Places,
    results: Results,
    stop: CancellationToken,
    seen: Mutex<Seen>,
}

/// State of the store as it was seen last.
#[derive(Default)]
struct Seen {
    /// The breaker, and the moment by the timer at which it was read.
    breaker: Option<(Breaker, Instant)>,
    /// Business time of the last sweep.
    sweep_time: Option<OffsetDateTime>,
}

impl Keeper {
    /// A keeper over `ports`, whose visits run in tasks that `tracker` waits for. Once `stop` is cancelled it begins
    /// nothing new, and gives back what has not begun.
    #[must_use]
    pub fn new(
        ports: &Ports,
        settings: KeeperSettings,
        stop: CancellationToken,
        tracker: TaskTracker,
    ) -> Self {
        let work = Arc::new(KeeperWork::new(ports, settings, stop));
        Self { work, tracker }
    }

    /// Visits accounts as they become due, until it is stopped and its visits have ended.
    pub async fn run(&self) {
        let (clock, timer) = (&self.work.ports.clock, &self.work.ports.timer);
        let lines = LineLimit::new(Duration::from_mins(1));
        while !self.work.is_stopping() {
            let jumps = clock.jumps();
            if let Err(error) = self.visit_due().await
                && let Some(left_out) = lines.admit((), timer.now())
            {
                tracing::warn!(%error, left_out, "the keeper cannot look for due accounts");
            }
            tokio::select! {
                () = self.work.stop.cancelled() => {}
                () = clock.jumped(jumps) => {}
                () = timer.sleep(self.work.settings.look_interval) => {}
            }
        }
        self.work.places.emptied().await;
    }

    /// Visits accounts until none can be claimed and all visits have ended, or until it is stopped.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; visits that have begun go on.
    pub async fn visit_due(&self) -> Result<(), StoreError> {
        self.work.forget_breaker();
        while !self.work.is_stopping() {
            let may_sweep_more = self.work.sweep().await;
            let limit = self.work.limit().await?;
            let free = self.work.places.free(limit);
            let claimed = if free == 0 { 0 } else { self.begin_visits(free).await? };
            if claimed == 0 && self.work.places.are_empty() && !may_sweep_more {
                break;
            }
            let may_find_more = claimed > 0 || (free == 0 && limit > 0);
            self.wait(limit, may_find_more).await;
        }
        Ok(())
    }

    /// Claims at most `free` accounts, and begins their visits. Returns their number.
    async fn begin_visits(&self, free: usize) -> Result<usize, StoreError> {
        let claims = self.work.claim(free).await?;
        let count = claims.len();
        for claim in claims {
            let work = Arc::clone(&self.work);
            self.tracker.spawn(async move { work.visit(claim).await });
        }
        Ok(count)
    }

    /// Returns when it is time for another claim.
    async fn wait(&self, limit: usize, may_find_more: bool) {
        let KeeperWork { ports, settings, places, stop, .. } = &*self.work;
        let some_time = async {
            if may_find_more {
                tokio::select! {
                    () = places.are_free(limit.div_ceil(8), limit) => {}
                    () = async {
                        places.are_free(1, limit).await;
                        ports.timer.sleep(MAX_FREE_TIME).await;
                    } => {}
                }
            } else {
                tokio::select! {
                    () = places.emptied() => {}
                    () = ports.timer.sleep(settings.look_interval) => {}
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = some_time => {}
        }
    }
}

/// A claimed account, whose visit has not begun.
struct Claim {
    account: ClaimedAccount,
    holder: LeaseHolder,
    begin: Instant,
    place: Place,
}

impl KeeperWork {
    /// The work over `ports`, until `stop` is cancelled.
    #[must_use]
    pub fn new(ports: &Ports, settings: KeeperSettings, stop: CancellationToken) -> Self {
        Self {
            ports: ports.clone(),
            budget: Budget::new(settings.in_flight),
            places: Places::new(settings.in_flight),
            settings,
            results: Results::default(),
            stop,
            seen: Mutex::default(),
        }
    }

    /// Looks once, claims as many accounts as the budget allows, and visits them at the same time. Returns their number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn execute_round(&self) -> Result<usize, StoreError> {
        self.sweep().await;
        self.forget_breaker();
        let limit = self.limit().await?;
        let claims = if limit == 0 { Vec::new() } else { self.claim(limit).await? };
        let visits = claims.into_iter().map(|claim| self.visit(claim));
        Ok(join_all(visits).await.len())
    }

    fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    async fn claim(&self, limit: usize) -> Result<Vec<Claim>, StoreError> {
        let (holder, begin) = (self.ports.ids.lease_holder(), self.ports.timer.now());
        let (now, limit) = (self.ports.clock.now(), u64::try_from(limit).unwrap_or(u64::MAX));
        let claimed = self.ports.store.due_accounts.claim_due(now, holder, limit).await?;
        let claim = |account| Claim { account, holder, begin, place: self.places.take() };
        Ok(claimed.into_iter().map(claim).collect())
    }

    #[tracing::instrument(name = "visit", level = "debug", skip_all, fields(account.id = %claim.account.id))]
    async fn visit(&self, claim: Claim) {
        let Claim { account, holder, begin, mut place } = claim;
        let answered = Box::pin(visit::ask(self, account, holder, begin, &mut place)).await;
        self.adapt_budget(&answered);
        place.answered();
        let outcome = answered.store().await;
        let elapsed = self.ports.timer.now().duration_since(begin);
        self.ports.metrics.count(CountedEvent::VisitEnded { outcome, elapsed });
    }

    /// Adapts the number of visits to what Instagram answered to one of them.
    fn adapt_budget(&self, answered: &Answered<'_>) {
        match answered.failure().map(|error| (error.kind, error.throttle_scope())) {
            // It says nothing about the other accounts.
            Some((_, Some(ThrottleScope::Account))) => {}
            Some((InstagramErrorKind::RateLimited { .. }, _)) => {
                self.budget.throttled(self.ports.timer.now());
            }
            Some((
                InstagramErrorKind::TokenRejected(_) | InstagramErrorKind::AppMisconfigured,
                _,
            )) => {
                self.budget.refused(self.ports.clock.now());
                // It may be open now.
                self.forget_breaker();
            }
            // Without a failure that counts only the subscription was refused.
            None if matches!(answered.outcome(), VisitOutcome::Done | VisitOutcome::Failed) => {
                self.budget.succeeded();
            }
            _ => {}
        }
    }

    /// Whether no visits may begin: the breaker is open, or the app is throttled.
    async fn is_halted(&self) -> Result<bool, StoreError> {
        Ok(self.is_throttled() || self.breaker().await?.open.is_some())
    }

    fn is_throttled(&self) -> bool {
        self.ports.health.throttle.of_app(self.ports.clock.now()).is_some()
    }

    /// Number of visits that may make their calls now: none while the breaker is open or the app is throttled.
    async fn limit(&self) -> Result<usize, StoreError> {
        if self.is_throttled() {
            return Ok(0);
        }
        let now = self.ports.clock.now();
        let mut breaker = self.breaker().await?;
        let probes = breaker.open.is_some()
            && self.ports.store.breaker.take_probe(now, PROBE_INTERVAL).await?;
        if probes {
            witness::probe(&self.ports).await?;
            self.forget_breaker();
            breaker = self.breaker().await?;
        }
        if breaker.open.is_some() {
            return Ok(0);
        }
        let usage = self.ports.instagram.usage_percent();
        Ok(self.budget.limit(self.ports.clock.now(), breaker.close_time, usage))
    }

    /// The breaker, as it was within [`BREAKER_INTERVAL`].
    async fn breaker(&self) -> Result<Breaker, StoreError> {
        let now = self.ports.timer.now();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).breaker;
        if let Some((breaker, read_at)) = seen
            && now.duration_since(read_at) < BREAKER_INTERVAL
        {
            return Ok(breaker);
        }
        let breaker = self.ports.store.breaker.load().await?;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).breaker = Some((breaker, now));
        Ok(breaker)
    }

    fn forget_breaker(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).breaker = None;
    }

    /// Marks what has expired, and schedules what an older version changed: a round each minute, and at once where the
    /// last one was full, so that visits go on between the rounds. Returns whether it was. A failure keeps no visit back.
    async fn sweep(&self) -> bool {
        let now = self.ports.clock.now();
        {
            let last = &mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).sweep_time;
            if last.is_some_and(|last| last <= now && now < last + SWEEP_INTERVAL) {
                return false;
            }
            *last = Some(now);
        }
        match self.sweep_at(now).await {
            Ok(false) => false,
            Ok(true) => {
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).sweep_time = None;
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the keeper cannot mark what has expired");
                false
            }
        }
    }

    /// One round of each; returns whether one of them was full.
    async fn sweep_at(&self, now: OffsetDateTime) -> Result<bool, StoreError> {
        let StorePorts { account_writer, due_accounts, .. } = &self.ports.store;
        let some = MAX_SWEPT_ACCOUNTS;
        let marked = account_writer.mark_expired(now, some).await?;
        let scheduled = due_accounts.schedule_missed(some).await?;
        Ok(marked == some || scheduled == some)
    }
}
