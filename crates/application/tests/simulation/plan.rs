//! Plan of a history: all that its seed decides, as a list of steps of which each may be left out.

use crate::schedule::Schedule;

const STEPS: usize = 800;

/// Once in so many steps, on average, something happens about events before it.
const EVENT_STEPS: usize = 2;

/// Makes another seed of that of a history, for what happens about events.
const EVENT_SEED: u64 = 1 << 32;

/// Once in so many steps, on average, something happens about what Instagram calls back for, before it.
const CALLBACK_STEPS: usize = 4;

/// Makes another seed of that of a history, for what Instagram calls back for.
const CALLBACK_SEED: u64 = 1 << 35;

/// Once in so many steps, on average, a token is imported before it.
const IMPORT_STEPS: usize = 40;

/// Makes another seed of that of a history, for imports.
const IMPORT_SEED: u64 = 1 << 38;

/// Once in so many steps, on average, something happens about reads from memory before it.
const READ_STEPS: usize = 4;

/// Makes another seed of that of a history, for reads from memory.
const READ_SEED: u64 = 1 << 41;

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

/// What happens in a step about what Instagram calls back for, and how often in 1,000 such steps.
const CALLBACK_ACTIONS: [(Action, usize); 7] = [
    (Action::PollCallbacks, 846),
    (Action::SendWebhooks, 75),
    (Action::Deauthorize, 7),
    (Action::DeleteData, 7),
    (Action::Erase, 30),
    (Action::ConsentHosted, 15),
    (Action::ComeWithTicket, 20),
];

/// What happens in a step of an import.
const IMPORT_ACTIONS: [(Action, usize); 1] = [(Action::Import, 1_000)];

/// What happens about reads from memory in a step, and how often in 1,000 such steps.
const READ_ACTIONS: [(Action, usize); 4] = [
    (Action::PollReads, 550),
    (Action::Read, 250),
    (Action::PollEvents, 100),
    (Action::PassMoment, 100),
];

/// What happens in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// A task of what Instagram called back for goes on to its next call to a port.
    PollCallbacks,
    /// Instagram sends updates.
    SendWebhooks,
    /// Instagram says that a person removed the app.
    Deauthorize,
    /// Instagram says that a person wants the data to be deleted.
    DeleteData,
    /// A replica erases what deleted accounts have left.
    Erase,
    /// A person begins a link that comes back to our own callback.
    ConsentHosted,
    /// A caller presents a ticket, or its browser comes to our callback once more.
    ComeWithTicket,
    /// A token of an older system is imported.
    Import,
    /// An account is read, from memory or from the store.
    Read,
    /// A reader goes on to its next call to a port.
    PollReads,
    /// A fraction of a second of real time passes.
    PassMoment,
}

impl Action {
    /// Whether it is about events.
    pub(crate) fn is_about_events(self) -> bool {
        EVENT_ACTIONS.iter().any(|(action, _)| *action == self)
    }

    /// Whether it is about what Instagram calls back for.
    pub(crate) fn is_about_callbacks(self) -> bool {
        CALLBACK_ACTIONS.iter().any(|(action, _)| *action == self)
    }

    /// Whether it is about reads from memory, or for them.
    pub(crate) fn is_about_reads(self) -> bool {
        READ_ACTIONS.iter().any(|(action, _)| *action == self)
    }

    /// Whether it is an import.
    pub(crate) fn is_import(self) -> bool {
        self == Self::Import
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

impl Step {
    fn roll(dice: &mut fastrand::Rng, actions: &[(Action, usize)]) -> Self {
        let action = action(actions, dice.usize(..1_000));
        Self { action, dice: dice.u64(..), faults: true, stays: false }
    }
}

/// Steps that come before others now and then.
struct Rare {
    dice: fastrand::Rng,
    /// Once in so many steps, on average, one comes before it.
    interval: usize,
    actions: &'static [(Action, usize)],
}

impl Rare {
    fn new(seed: u64, interval: usize, actions: &'static [(Action, usize)]) -> Self {
        Self { dice: fastrand::Rng::with_seed(seed), interval, actions }
    }

    /// The one that comes before the next step; `None` where there is none.
    fn step(&mut self) -> Option<Step> {
        let comes = self.dice.usize(..self.interval) == 0;
        comes.then(|| Step::roll(&mut self.dice, self.actions))
    }
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
        // What happens about events, about callbacks, imports and reads, leaves the dice of all else as they are.
        let mut about_events = Rare::new(seed ^ EVENT_SEED, EVENT_STEPS, &EVENT_ACTIONS);
        let mut about_callbacks =
            Rare::new(seed ^ CALLBACK_SEED, CALLBACK_STEPS, &CALLBACK_ACTIONS);
        let mut imports = Rare::new(seed ^ IMPORT_SEED, IMPORT_STEPS, &IMPORT_ACTIONS);
        let mut reads = Rare::new(seed ^ READ_SEED, READ_STEPS, &READ_ACTIONS);
        let mut steps = |dice: &mut fastrand::Rng| {
            let before = about_events.step().into_iter().chain(about_callbacks.step());
            let before = before.chain(imports.step()).chain(reads.step());
            before.chain([Step::roll(dice, &ACTIONS)])
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
