//! Memory of one process of how Instagram treats the app.

use crate::throttle::Throttle;
use crate::witness::Judgements;

/// Memory of one process of how Instagram treats the app: throttling that is in force, and the last judgement by a
/// witness.
#[derive(Default)]
pub struct AppHealth {
    pub(crate) throttle: Throttle,
    pub(crate) judgements: Judgements,
}
