//! All that the sandbox knows, behind one lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use crate::accounts::{AccountIndex, Accounts};
use crate::clock::Clock;
use crate::containers::Containers;
use crate::faults::Faults;
use crate::grants::Grants;
use crate::requests::RequestLog;
use crate::seed::Seed;
use crate::settings::Settings;
use crate::shapes::Shapes;

/// A running sandbox; clones share it.
#[derive(Clone)]
pub struct Sandbox {
    world: Arc<Mutex<World>>,
    settings: Arc<Settings>,
    start: Instant,
}

/// The state of the sandbox's Instagram. A request changes it under the lock, at once and as a whole.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) clock: Clock,
    pub(crate) seed: Seed,
    pub(crate) accounts: Accounts,
    pub(crate) grants: Grants,
    pub(crate) containers: Containers,
    pub(crate) subscriptions: BTreeMap<AccountIndex, BTreeSet<&'static str>>,
    pub(crate) shapes: Shapes,
    pub(crate) faults: Faults,
    pub(crate) requests: RequestLog,
}

/// The one app that the sandbox knows, in the form in which the control interface shows it.
#[derive(Clone, Serialize)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) secret: String,
    #[serde(skip)]
    pub(crate) restricted: bool,
}

impl Sandbox {
    /// Makes a sandbox in its first state.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let clock = Clock::default();
        let mut seed = settings.seed.map_or_else(|| Seed::unseeded(clock.now()), Seed::new);
        let world = World {
            app: App {
                id: settings.app_id.clone(),
                secret: settings.app_secret.clone(),
                restricted: false,
            },
            clock,
            accounts: Accounts::seeded(&mut seed),
            seed,
            grants: Grants::new(),
            containers: Containers::new(),
            subscriptions: BTreeMap::new(),
            shapes: Shapes::default(),
            faults: Faults::default(),
            requests: RequestLog::default(),
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            settings: Arc::new(settings),
            start: Instant::now(),
        }
    }

    /// The state, locked: never held across an `await`.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Real milliseconds since the start.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
