//! Plan of a history: all that its seed decides, as a list of steps of which each may be left out.

use crate::schedule::Schedule;

const STEPS: usize = 800;

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
        let steps = |dice: &mut fastrand::Rng| {
            let action = action(dice.usize(..1_000));
            Step { action, dice: dice.u64(..), faults: true, stays: false }
        };
        Self {
            calm: [1, 4, 12][dice.usize(..3)],
            persons: 1 + dice.usize(..3),
            hours: [25, 480, 480][dice.usize(..3)],
            schedule: Schedule::ALL[dice.usize(..Schedule::ALL.len())],
            steps: (0..STEPS).map(|_| steps(&mut dice)).collect(),
            dice: dice.u64(..),
        }
    }
}

/// The action that `rolled`, a number below 1,000, stands for.
fn action(mut rolled: usize) -> Action {
    for (action, times) in ACTIONS {
        if rolled < times {
            return action;
        }
        rolled -= times;
    }
    Action::Poll
}
