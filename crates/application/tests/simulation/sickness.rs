//! Incidents at Instagram: refusals of all calls, or of those for one person, until the incident ends.

use std::time::Duration;

use ig_domain::ReauthorizationReason;
use ig_domain::ports::{GraphFacts, InstagramError, InstagramErrorKind};

use crate::world::World;

/// Codes of throttling, and the time that Instagram names: for the app, for the account, and for neither.
pub(crate) const THROTTLING: [(Option<i64>, Duration); 4] = [
    (Some(4), Duration::from_mins(1)),
    (Some(17), Duration::from_mins(1)),
    (Some(368), Duration::from_hours(1)),
    (None, Duration::from_mins(1)),
];

/// The refusal by throttling with this code, for so long.
pub(crate) fn throttled((code, retry_after): (Option<i64>, Duration)) -> InstagramError {
    let kind = InstagramErrorKind::RateLimited { retry_after };
    InstagramError { kind, facts: GraphFacts { code, ..GraphFacts::default() } }
}

/// An incident at Instagram.
#[derive(Clone, Debug)]
pub(crate) struct Sickness {
    /// The person whose calls are refused; `None` for all.
    person: Option<u32>,
    refusal: InstagramError,
}

impl Sickness {
    /// An incident that the dice choose.
    pub(crate) fn roll(world: &World, person: u32) -> Self {
        let refusal = match world.roll(6) {
            0 | 1 => InstagramErrorKind::AppMisconfigured.into(),
            2 | 3 => InstagramErrorKind::TokenRejected(ReauthorizationReason::TokenRevoked).into(),
            4 => InstagramErrorKind::TokenRejected(ReauthorizationReason::Checkpoint).into(),
            _ => throttled(THROTTLING[world.roll(THROTTLING.len())]),
        };
        Self { person: (world.roll(3) == 0).then_some(person), refusal }
    }

    fn of(&self, person: u32) -> Option<&InstagramError> {
        self.person.is_none_or(|sick| sick == person).then_some(&self.refusal)
    }

    /// The reason for which a token of this person is refused; `None` where none is.
    pub(crate) fn rejection(&self, person: u32) -> Option<ReauthorizationReason> {
        match self.of(person)?.kind {
            InstagramErrorKind::TokenRejected(reason) => Some(reason),
            _ => None,
        }
    }

    /// The refusal of a call for this person, whatever its token; `None` where it is not refused.
    pub(crate) fn refusal(&self, person: u32) -> Option<InstagramError> {
        self.of(person).filter(|refusal| !refusal.rejects_token()).cloned()
    }
}
