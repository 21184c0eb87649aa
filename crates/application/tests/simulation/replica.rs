//! A replica: the ports of its callers and of its keeper, and what its process remembers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ig_application::{AppHealth, KeeperSettings, KeeperWork, Ports, StorePorts};
use ig_domain::ports::{InstagramError, ThrottleScope};
use ig_domain::{AccountId, DEFAULT_READING_INTERVAL};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::rules::Tick;
use crate::world::World;

/// Maximum number of visits of one round.
const IN_FLIGHT: usize = 3;

/// A process that serves callers and keeps tokens alive.
pub(crate) struct Process {
    /// The ports of its callers.
    pub(crate) ports: Ports,
    pub(crate) keeper: Arc<KeeperWork>,
    pub(crate) stop: CancellationToken,
}

impl Process {
    /// The process of this replica, which forgets all that the one before it remembered.
    pub(crate) fn new(world: &Arc<World>, replica: usize) -> Self {
        let (pauses, health, stop) = (Arc::default(), Arc::default(), CancellationToken::new());
        let ports = |is_keeper| Replica::ports(world, replica, (&pauses, &health), is_keeper);
        let settings = KeeperSettings {
            in_flight: IN_FLIGHT,
            reading_interval: DEFAULT_READING_INTERVAL,
            look_interval: Duration::from_secs(1),
        };
        let keeper = KeeperWork::new(&ports(true), settings, stop.clone());
        Self { ports: ports(false), keeper: Arc::new(keeper), stop }
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

/// One replica, as each of its ports.
pub(crate) struct Replica {
    pub(crate) world: Arc<World>,
    pub(crate) number: usize,
    pauses: Arc<Mutex<Pauses>>,
    /// Whether these are the ports of the keeper.
    pub(crate) is_keeper: bool,
    /// When the breaker was read last.
    look: AtomicU64,
}

impl Replica {
    fn ports(
        world: &Arc<World>,
        number: usize,
        (pauses, health): (&Arc<Mutex<Pauses>>, &Arc<AppHealth>),
        is_keeper: bool,
    ) -> Ports {
        let replica = Arc::new(Self {
            world: Arc::clone(world),
            number,
            pauses: Arc::clone(pauses),
            is_keeper,
            look: AtomicU64::new(0),
        });
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

    pub(crate) fn pauses(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note_look(&self) {
        let now = self.world.state().rules.tick();
        self.look.store(now, Ordering::Relaxed);
    }

    pub(crate) fn last_look(&self) -> Tick {
        self.look.load(Ordering::Relaxed)
    }
}
