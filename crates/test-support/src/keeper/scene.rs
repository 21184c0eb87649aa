//! A scene: accounts in a store, a keeper, a moody Instagram, and a clock to set. It takes any store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ig_application::{
    Keeper, KeeperSettings, LinkWork, LinkedAccount, Ports, RefreshAccountError, RefreshWork,
    RefreshedAccount, StorePorts,
};
use ig_domain::ports::{Clock as _, CompletedLink, CountedEvent, StoreError, Timer};
use ig_domain::{AccountId, AccountStatus, InstagramAccount, KeepingPlan, LinkAttempt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::instagram::MoodyInstagram;
use crate::builders::{START, account, long_lived, pending_link, presentation};
use crate::{FakeClock, RecordedMetrics, SequentialIds};

/// A minute.
pub const MINUTE: Duration = Duration::from_mins(1);
/// An hour.
pub const HOUR: Duration = Duration::from_hours(1);
/// A day.
pub const DAY: Duration = Duration::from_hours(24);

/// A scene that begins at [`START`].
pub struct Scene {
    /// Business time.
    pub clock: FakeClock,
    /// Instagram.
    pub instagram: MoodyInstagram,
    /// Events that were counted.
    pub metrics: RecordedMetrics,
    /// The ports that the keeper has, too.
    pub ports: Ports,
    /// Stops the keepers.
    pub stop: CancellationToken,
    settings: KeeperSettings,
    keeper: Keeper,
}

/// What a scene plays on.
pub struct Stage {
    /// An empty store.
    pub store: StorePorts,
    /// Time that a call to Instagram takes, by tokio's clock.
    pub call_time: Duration,
    /// The store's own plan.
    pub plan: KeepingPlan,
    /// Maximum number of visits at the same time.
    pub in_flight: usize,
}

/// Tokio's own time. Where a test pauses it, a sleep ends once everybody else waits.
struct TokioTimer;

#[async_trait]
impl Timer for TokioTimer {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

impl Scene {
    /// A scene without accounts.
    #[must_use]
    pub fn new(stage: Stage) -> Self {
        let Stage { store, call_time, plan, in_flight } = stage;
        let clock = FakeClock::at(START);
        let instagram = MoodyInstagram::new(clock.clone(), call_time);
        let metrics = RecordedMetrics::default();
        let ports = Ports {
            store,
            instagram: Arc::new(instagram.clone()),
            clock: Arc::new(clock.clone()),
            timer: Arc::new(TokioTimer),
            ids: Arc::new(SequentialIds::default()),
            metrics: Arc::new(metrics.clone()),
            health: Arc::default(),
        };
        let stop = CancellationToken::new();
        let look_interval = Duration::from_secs(1);
        let settings = KeeperSettings { in_flight, plan, look_interval };
        let keeper = Keeper::new(&ports, settings.clone(), stop.clone(), TaskTracker::new());
        Self { clock, instagram, metrics, ports, stop, settings, keeper }
    }

    /// Another keeper over the same store, as another replica has it.
    #[must_use]
    pub fn another_keeper(&self) -> Keeper {
        let ports = Ports { health: Arc::default(), ..self.ports.clone() };
        Keeper::new(&ports, self.settings.clone(), self.stop.clone(), TaskTracker::new())
    }

    /// Id of account `number`.
    #[must_use]
    pub fn id(number: u32) -> AccountId {
        account(number, "shop/7", START).id
    }

    /// Links account `number` at this moment.
    pub async fn link(&self, number: u32) {
        self.link_as(number, |_| {}).await;
    }

    /// Links account `number` at this moment, and stores it with this `change` from the beginning.
    pub async fn link_as(&self, number: u32, change: impl FnOnce(&mut InstagramAccount)) {
        let now = self.clock.now();
        let mut account = account(number, "shop/7", now);
        change(&mut account);
        let (token, ids) = (format!("IGAA-{number}-0"), &self.ports.ids);
        // Instagram knows what we may not.
        let issue_time = account.token_issue_time.unwrap_or(now - DAY);
        let expire_time = account.token_expire_time.unwrap_or(now + DAY * 30);
        self.instagram.know(&token, number, issue_time, expire_time);
        let (state, code) = (format!("state-{number}"), format!("code-{number}"));
        let pending = pending_link(&state, "shop/7", now);
        self.ports.store.pending_links.insert(&pending).await.unwrap();
        let attempt = LinkAttempt::begin(pending, &presentation(&code, &state, "shop/7"), now);
        let holder = ids.lease_holder();
        self.ports.store.link_attempts.create(&attempt, holder).await.unwrap();
        let link = CompletedLink {
            displaced: None,
            account,
            former_revision: None,
            token: Some(long_lived(&token)),
            missing_scopes: Vec::new(),
            end_time: now,
        };
        self.ports.store.link_attempts.complete(&attempt.code, holder, &link).await.unwrap();
    }

    /// Links account `number` again, as a person does whose token is dead.
    pub async fn link_again(&self, number: u32) -> LinkedAccount {
        let state = format!("state-{number}-again");
        let pending = pending_link(&state, "shop/7", self.clock.now());
        self.ports.store.pending_links.insert(&pending).await.unwrap();
        let presented = presentation(&number.to_string(), &state, "shop/7");
        LinkWork::new(&self.ports).run(&presented).await.unwrap()
    }

    /// Lets time pass in steps; after each one the keeper does all that is due.
    pub async fn pass(&self, span: Duration, step: Duration) {
        let mut left = span;
        while !left.is_zero() {
            let next = step.min(left);
            self.clock.advance(next);
            self.look().await;
            left -= next;
        }
    }

    /// Lets the keeper do all that is due now.
    pub async fn look(&self) {
        self.try_look().await.unwrap();
    }

    /// Lets the keeper do all that is due now, as far as the store lets it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn try_look(&self) -> Result<(), StoreError> {
        self.keeper.visit_due().await
    }

    /// Refreshes account `number`, as a caller does.
    ///
    /// # Errors
    ///
    /// Those of [`RefreshWork::run`].
    pub async fn refresh(&self, number: u32) -> Result<RefreshedAccount, RefreshAccountError> {
        RefreshWork::new(&self.ports).run(Self::id(number)).await
    }

    /// Account `number` as it is stored.
    pub async fn stored(&self, number: u32) -> InstagramAccount {
        let found = self.ports.store.accounts.find_with_token(Self::id(number)).await.unwrap();
        found.unwrap().0
    }

    /// Status of account `number` at this moment.
    pub async fn status(&self, number: u32) -> AccountStatus {
        self.stored(number).await.status(self.clock.now())
    }

    /// Fails unless the accounts of these numbers are active.
    pub async fn assert_active(&self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            let account = self.stored(number).await;
            let status = account.status(self.clock.now());
            assert_eq!(status, AccountStatus::Active, "account {number}: {account:?}");
        }
    }

    /// Whether the app's breaker is open.
    pub async fn breaker_is_open(&self) -> bool {
        self.ports.store.breaker.load().await.unwrap().open.is_some()
    }

    /// Number of the events that `is_counted` counts, since events were looked at last.
    #[must_use]
    pub fn events(&self, is_counted: impl Fn(&CountedEvent) -> bool) -> usize {
        self.metrics.take().iter().filter(|event| is_counted(event)).count()
    }
}
