//! World that all replicas share: the store, Instagram, the clock, and the dice.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use ig_test_support::builders::{START, parsed};
use ig_test_support::{FakeClock, Guard, MemoryStore, SequentialIds};

use crate::instagram::InstagramModel;

/// The world of one history.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) clock: FakeClock,
    /// Moment that a timer shows at the beginning of the history; it goes on with the clock.
    pub(crate) begin: Instant,
    pub(crate) ids: SequentialIds,
    dice: Mutex<fastrand::Rng>,
    /// Factor by which faults are rarer than usual: some worlds are harsh, some let work come far.
    calm: usize,
    /// Whether the trace is kept, which costs more than the history itself.
    traced: bool,
    state: Mutex<State>,
}

/// State of the world that changes, besides the store.
pub(crate) struct State {
    pub(crate) instagram: InstagramModel,
    /// Whether requests and answers may be lost.
    pub(crate) faults: bool,
    /// Whether the store was called since the invariants were checked.
    pub(crate) unchecked: bool,
    pub(crate) violation: Option<String>,
    pub(crate) trace: Vec<String>,
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

impl World {
    pub(crate) fn new(seed: u64, missing: Option<Guard>, traced: bool) -> Self {
        let store = MemoryStore::new(parsed("990602627938098"));
        let store = missing.map_or_else(|| store.clone(), |guard| store.without(guard));
        let mut dice = fastrand::Rng::with_seed(seed);
        Self {
            store,
            clock: FakeClock::at(START),
            begin: Instant::now(),
            ids: SequentialIds::default(),
            calm: [1, 4, 12][dice.usize(..3)],
            dice: Mutex::new(dice),
            traced,
            state: Mutex::new(State {
                instagram: InstagramModel::default(),
                faults: true,
                unchecked: false,
                violation: None,
                trace: Vec::new(),
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number below `bound`.
    pub(crate) fn roll(&self, bound: usize) -> usize {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).usize(..bound)
    }

    /// Whether an event that happens once in `times` happens now; never after faults have ended.
    pub(crate) fn trouble(&self, times: usize) -> bool {
        self.state().faults && self.roll(times * self.calm) == 0
    }

    pub(crate) fn fate(&self) -> Fate {
        match (self.trouble(12), self.roll(2)) {
            (false, _) => Fate::Well,
            (true, 0) => Fate::Lost,
            (true, _) => Fate::AnswerLost,
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
        let what = what.into();
        let mut state = self.state();
        state.trace.push(format!("VIOLATION: {what}"));
        state.violation.get_or_insert(what);
    }
}

/// Lets others run before going on: the point at which a replica may stop.
pub(crate) fn point() -> impl Future<Output = ()> + Send {
    Point { passed: false }
}

struct Point {
    passed: bool,
}

impl Future for Point {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<()> {
        if self.passed {
            return Poll::Ready(());
        }
        self.passed = true;
        Poll::Pending
    }
}
