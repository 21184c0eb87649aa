//! Plan of a history: all that its seed decides, as a list of steps of which each may be left out.

use crate::schedule::Schedule;

const STEPS: usize = 800;

/// Once in so many steps, on average, something happens about events before it.
const EVENT_STEPS: usize = 2;

/// Makes another seed of that of a history, for what happens about events.
const EVENT_SEED: u64 = 1 << 32;

/// Number of stops, of a replica each, after which each has stopped.
const STOPS: u64 = 16;

/// What happens in a step, and how often in 1,000 steps.
const ACTIONS: [(Action, usize); 12] = [
    (Action::Poll, 757),
    (Action::Call, 105),
    (Action::Look, 40),
    (Action::Crash, 8),
    (Action::Stop, 3),
    (Action::PassLease, 16),
    (Action::PassSeconds, 30),
    (Action::PassHours, 18),
    (Action::ChangePassword, 1),
    (Action::DestroyToken, 1),
    (Action::Sicken, 3),
    (Action::Consent, 18),
];

/// What happens about events in a step, and how often in 1,000 such steps.
const EVENT_ACTIONS: [(Action, usize); 5] = [
    (Action::Follow, 820),
    (Action::Watch, 50),
    (Action::PollEvents, 90),
    (Action::KeepConsumers, 30),
    (Action::PurgeEvents, 10),
];

/// What happens in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A task goes on to its next call to a port.
    Poll,
    /// A replica is called.
    Call,
    /// A keeper looks for due accounts.
    Look,
    /// A replica stops, wherever its tasks are.
    Crash,
    /// A replica is told to stop, and begins anew.
    Stop,
    /// Leases that are not extended run out.
    PassLease,
    /// Seconds of business time pass.
    PassSeconds,
    /// Hours of business time pass, or days.
    PassHours,
    /// A person's password changes.
    ChangePassword,
    /// The token of an account is destroyed.
    DestroyToken,
    /// Instagram begins, or ceases, to refuse all or one.
    Sicken,
    /// A person begins a link.
    Consent,
    /// A task of those who follow the events goes on to its next call to a port.
    Follow,
    /// Somebody begins to follow the events.
    Watch,
    /// A poller looks.
    PollEvents,
    /// A replica extends the leases of its consumers.
    KeepConsumers,
    /// Old events are deleted.
    PurgeEvents,
}

impl Action {
    /// Whether it is about events.
    pub(crate) fn is_about_events(self) -> bool {
        EVENT_ACTIONS.iter().any(|(action, _)| *action == self)
    }
}

/// A step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// Seed of all further choices in this step.
    pub(crate) dice: u64,
    /// Whether requests and answers may be lost in it.
    pub(crate) faults: bool,
    /// Whether the task goes on that went on last.
    pub(crate) stays: bool,
}

/// The plan of a history.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Factor by which faults are rarer than usual: some worlds are harsh, some let work come far.
    pub(crate) calm: usize,
    /// The fewer persons, the more often their links and renewals meet; a witness is another one.
    pub(crate) persons: usize,
    /// Maximum number of hours that pass at once: mostly many, since a token is renewed after weeks.
    pub(crate) hours: usize,
    pub(crate) schedule: Schedule,
    pub(crate) steps: Vec<Step>,
    /// Seed of the choices after the last step.
    pub(crate) dice: u64,
}

impl Plan {
    /// The plan that `seed` decides.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        // What happens about events leaves all else as it is.
        let mut event_dice = fastrand::Rng::with_seed(seed ^ EVENT_SEED);
        let step = |dice: &mut fastrand::Rng, actions: &[(Action, usize)]| {
            let action = action(actions, dice.usize(..1_000));
            Step { action, dice: dice.u64(..), faults: true, stays: false }
        };
        let mut steps = |dice: &mut fastrand::Rng| {
            let is_about_events = event_dice.usize(..EVENT_STEPS) == 0;
            let about_events = is_about_events.then(|| step(&mut event_dice, &EVENT_ACTIONS));
            about_events.into_iter().chain([step(dice, &ACTIONS)])
        };
        Self {
            calm: [1, 4, 12][dice.usize(..3)],
            persons: 1 + dice.usize(..3),
            hours: [25, 480, 480][dice.usize(..3)],
            schedule: Schedule::ALL[dice.usize(..Schedule::ALL.len())],
            steps: (0..STEPS).flat_map(|_| steps(&mut dice)).collect(),
            dice: dice.u64(..),
        }
    }

    /// The first `steps` of this plan, after which all replicas stop.
    pub(crate) fn stopping_after(&self, steps: usize) -> Self {
        let stop = |dice| Step { action: Action::Crash, dice, faults: false, stays: false };
        let steps = self.steps[..steps].iter().copied().chain((0..STOPS).map(stop)).collect();
        Self { steps, ..self.clone() }
    }
}

/// The action of `actions` that `rolled`, a number below 1,000, stands for.
fn action(actions: &[(Action, usize)], mut rolled: usize) -> Action {
    for &(action, times) in actions {
        if rolled < times {
            return action;
        }
        rolled -= times;
    }
    Action::Poll
}
