//! A replica: the ports of its callers and of its keeper, and what its process remembers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ig_application::{
    AppHealth, EventPoller, KeeperSettings, KeeperWork, Ports, ReadCache, ReceiveWork, StorePorts,
    Watch, WatchPorts,
};
use ig_domain::ports::{InstagramError, ThrottleScope, UserDeletions, UserRemovals};
use ig_domain::{AccountId, KeepingPlan};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::event_ports::RealTime;
use crate::reads::Made;
use crate::rules::Tick;
use crate::world::World;

/// Bytes of accounts in memory: more than there are.
const READ_CACHE: u64 = 1 << 20;

/// Maximum number of visits of one round.
const IN_FLIGHT: usize = 3;

/// Time for which events are kept: that of two lost leases is longer.
const EVENT_WINDOW: Duration = Duration::from_secs(15);

/// A process that serves callers and keeps tokens alive.
pub(crate) struct Process {
    /// The ports of its callers.
    pub(crate) ports: Ports,
    pub(crate) keeper: Arc<KeeperWork>,
    pub(crate) watch: Watch,
    pub(crate) poller: Arc<EventPoller>,
    pub(crate) intake: Arc<ReceiveWork>,
    /// The ports by which it does what Instagram calls back for.
    pub(crate) callbacks: Arc<Replica>,
    /// The same for removals and deletions, of which its memory hears.
    pub(crate) removals: Arc<dyn UserRemovals>,
    pub(crate) deletions: Arc<dyn UserDeletions>,
    /// The versions of accounts that it has made.
    pub(crate) made: Arc<Mutex<Made>>,
    pub(crate) stop: CancellationToken,
}

impl Process {
    /// The process of this replica, which forgets all that the one before it remembered.
    pub(crate) fn new(world: &Arc<World>, replica: usize) -> Self {
        let (pauses, made) = (Arc::default(), Arc::default());
        let (health, stop) = (Arc::default(), CancellationToken::new());
        let part = |serves| Replica::new(world, replica, (&pauses, &made), serves);
        let metrics = part(Serves::Callers);
        let timer = Arc::new(RealTime(Arc::clone(world)));
        let cache = Arc::new(ReadCache::new(READ_CACHE, timer, metrics));
        let ports = |serves| {
            let ports = part(serves).ports(&health);
            Ports { store: ports.store.cached_by(&cache), ..ports }
        };
        let settings = KeeperSettings {
            in_flight: IN_FLIGHT,
            plan: KeepingPlan::default(),
            look_interval: Duration::from_secs(1),
        };
        let keeper = KeeperWork::new(&ports(Serves::Keeper), settings, stop.clone());
        let watch = Watch::new(part(Serves::Streams).watch_ports(), EVENT_WINDOW, stop.clone());
        let poller = Arc::new(EventPoller::new(&watch, Some(Arc::clone(&cache))));
        let callbacks = part(Serves::Callbacks);
        let intake = Arc::new(ReceiveWork::new(callbacks.clone(), callbacks.clone()));
        Self {
            ports: ports(Serves::Callers),
            keeper: Arc::new(keeper),
            watch,
            poller,
            intake,
            removals: cache.removals(callbacks.clone()),
            deletions: cache.deletions(callbacks.clone()),
            callbacks,
            made,
            stop,
        }
    }
}

/// Pauses that Instagram asked a process for, as the process must remember them.
#[derive(Default)]
pub(crate) struct Pauses {
    app: Option<OffsetDateTime>,
    accounts: BTreeMap<AccountId, OffsetDateTime>,
}

impl Pauses {
    /// Whether no call may be made for the account at `now`.
    pub(crate) fn are_on(&self, account: Option<AccountId>, now: OffsetDateTime) -> bool {
        let of_account = account.and_then(|account| self.accounts.get(&account));
        self.app.iter().chain(of_account).any(|end| *end > now)
    }

    /// Hears the answer to a call for the account.
    pub(crate) fn hear(
        &mut self,
        account: Option<AccountId>,
        error: &InstagramError,
        now: OffsetDateTime,
    ) {
        let end = now + error.retry_after();
        let pause = match (error.throttle_scope(), account) {
            (Some(ThrottleScope::App), _) => self.app.get_or_insert(end),
            (Some(ThrottleScope::Account), Some(account)) => {
                self.accounts.entry(account).or_insert(end)
            }
            _ => return,
        };
        *pause = end.max(*pause);
    }
}

/// Part of a replica that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// Its calls.
    Callers,
    /// Its keeper.
    Keeper,
    /// Its streams, and the poller for them.
    Streams,
    /// What Instagram calls back for.
    Callbacks,
}

impl Serves {
    /// Whether it renews tokens.
    pub(crate) fn renews(self) -> bool {
        matches!(self, Self::Callers | Self::Keeper)
    }
}

/// One replica, as each of its ports.
pub(crate) struct Replica {
    pub(crate) world: Arc<World>,
    pub(crate) number: usize,
    pauses: Arc<Mutex<Pauses>>,
    made: Arc<Mutex<Made>>,
    pub(crate) serves: Serves,
    /// When the breaker was read last.
    look: AtomicU64,
}

impl Replica {
    fn new(
        world: &Arc<World>,
        number: usize,
        (pauses, made): (&Arc<Mutex<Pauses>>, &Arc<Mutex<Made>>),
        serves: Serves,
    ) -> Arc<Self> {
        let (world, pauses, made) = (Arc::clone(world), Arc::clone(pauses), Arc::clone(made));
        Arc::new(Self { world, number, pauses, made, serves, look: AtomicU64::new(0) })
    }

    fn ports(self: &Arc<Self>, health: &Arc<AppHealth>) -> Ports {
        let replica = Arc::clone(self);
        Ports {
            store: StorePorts::of(replica.clone()),
            instagram: replica.clone(),
            clock: replica.clone(),
            timer: replica.clone(),
            ids: replica.clone(),
            metrics: replica,
            health: health.clone(),
        }
    }

    fn watch_ports(self: &Arc<Self>) -> WatchPorts {
        let replica = Arc::clone(self);
        WatchPorts {
            timer: Arc::new(RealTime(Arc::clone(&replica.world))),
            log: replica.clone(),
            consumers: replica.clone(),
            accounts: replica.clone(),
            webhooks: replica.clone(),
            clock: replica.clone(),
            ids: replica,
        }
    }

    pub(crate) fn pauses(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes versions of accounts that the process has made, once it hears that it has.
    pub(crate) fn note_made(&self, versions: Made) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, version) in versions {
            let last = made.entry(id).or_default();
            *last = version.max(*last);
        }
    }

    pub(crate) fn note_look(&self) {
        let now = self.world.state().rules.tick();
        self.look.store(now, Ordering::Relaxed);
    }

    pub(crate) fn last_look(&self) -> Tick {
        self.look.load(Ordering::Relaxed)
    }
}
