//! World that all replicas share: the store, Instagram, the clock, and the dice.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ig_domain::AccountId;
use ig_test_support::builders::{START, parsed};
use ig_test_support::{FakeClock, Guard, MemoryStore, SequentialIds};

use crate::crash_points::{CrashPoint, Crashes, Side, Waits};
use crate::imports::Imports;
use crate::instagram::InstagramModel;
use crate::reads::Versions;
use crate::removals::Removals;
use crate::rules::Rules;
use crate::told::Told;
use crate::updates::Updates;

/// Once in so many polls a call takes one more.
const DAWDLING: usize = 8;

/// The world of one history.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) clock: FakeClock,
    /// Moment that a timer shows at the beginning of the history; it goes on with the clock.
    pub(crate) begin: Instant,
    pub(crate) ids: SequentialIds,
    dice: Mutex<fastrand::Rng>,
    /// Factor by which faults are rarer than usual.
    calm: usize,
    /// Whether the trace is kept, which costs more than the history itself.
    traced: bool,
    state: Mutex<State>,
}

/// State of the world that changes, besides the store.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) instagram: InstagramModel,
    pub(crate) rules: Rules,
    pub(crate) told: Told,
    pub(crate) updates: Updates,
    pub(crate) removals: Removals,
    pub(crate) imports: Imports,
    pub(crate) versions: Versions,
    /// Real time since the beginning of the history.
    pub(crate) real_time: Duration,
    /// Whether requests and answers may be lost.
    pub(crate) faults: bool,
    /// Whether faults have ended for good.
    pub(crate) calmed: bool,
    /// Whether the store was called since the invariants were checked.
    pub(crate) unchecked: bool,
    pub(crate) violation: Option<String>,
    pub(crate) trace: Vec<String>,
    /// Number of steps that have begun.
    pub(crate) steps: usize,
    pub(crate) waits: Waits,
    pub(crate) crashes: Crashes,
}

/// Fate of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is done and answered.
    Well,
    /// It never arrives.
    Lost,
    /// It is done, and its answer is lost.
    AnswerLost,
}

impl State {
    /// Records the first broken invariant.
    pub(crate) fn violate(&mut self, what: String) {
        self.trace.push(format!("VIOLATION: {what}"));
        self.violation.get_or_insert(what);
    }
}

impl World {
    /// A world in which faults are rarer by the factor `calm`, over a store that lacks a guard.
    pub(crate) fn new(calm: usize, missing: Option<Guard>, traced: bool) -> Self {
        let store = MemoryStore::new(parsed("990602627938098"));
        let store = missing.map_or_else(|| store.clone(), |guard| store.without(guard));
        Self {
            store,
            clock: FakeClock::at(START),
            begin: Instant::now(),
            ids: SequentialIds::default(),
            calm,
            dice: Mutex::new(fastrand::Rng::with_seed(0)),
            traced,
            state: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets all choices from here on follow from `dice`.
    pub(crate) fn seed(&self, dice: u64) {
        *self.dice.lock().unwrap_or_else(PoisonError::into_inner) = fastrand::Rng::with_seed(dice);
    }

    /// A number below `bound`.
    pub(crate) fn roll(&self, bound: usize) -> usize {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).usize(..bound)
    }

    /// Whether an event that happens once in `times` happens now; never after faults have ended.
    pub(crate) fn trouble(&self, times: usize) -> bool {
        self.state().faults && self.roll(times * self.calm) == 0
    }

    /// The fate of a request of this replica; one that is lost is an excuse for renewing twice, if it is of a part that
    /// renews tokens.
    pub(crate) fn fate(&self, replica: usize, renews: bool) -> Fate {
        let fate = match (self.trouble(12), self.roll(2)) {
            (false, _) => return Fate::Well,
            (true, 0) => Fate::Lost,
            (true, _) => Fate::AnswerLost,
        };
        if renews {
            self.state().rules.excuse(replica);
        }
        fate
    }

    /// Whether a call takes another poll.
    pub(crate) fn dawdles(&self) -> bool {
        !self.state().calmed && self.roll(DAWDLING) == 0
    }

    pub(crate) fn note_wait(&self, point: (CrashPoint, Side)) {
        let mut state = self.state();
        if !state.calmed {
            let steps = state.steps;
            state.waits.entry(point).or_insert(steps);
        }
    }

    /// Forgets a wait that ended in the step in which it began: a task may be polled more than once in a step, and a
    /// replica stops between steps.
    pub(crate) fn note_passed(&self, point: (CrashPoint, Side)) {
        let mut state = self.state();
        if state.waits.get(&point) == Some(&state.steps) {
            state.waits.remove(&point);
        }
    }

    pub(crate) fn note_crash(&self, point: (CrashPoint, Side)) {
        let mut state = self.state();
        if !state.calmed {
            state.crashes.insert(point);
        }
    }

    pub(crate) fn note<S: Into<String>>(&self, line: impl FnOnce() -> S) {
        if self.traced {
            let line = line().into();
            self.state().trace.push(line);
        }
    }

    /// Records the first broken invariant.
    pub(crate) fn violate(&self, what: impl Into<String>) {
        self.state().violate(what.into());
    }

    /// The account that has this token now; `None` where none has.
    pub(crate) fn account_with(&self, token: &str) -> Option<AccountId> {
        let accounts = self.store.accounts();
        let mut accounts = accounts.iter();
        accounts.find(|(_, stored)| stored.text().expose() == token).map(|(account, _)| account.id)
    }
}
