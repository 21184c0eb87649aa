//! Sessions of PostgreSQL remember things: that they may only read, how a table was when a statement was prepared,
//! which schema they are in. Once one was at fault, none that is as old is used again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When a session was last at fault. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions(Arc<Mutex<Option<Instant>>>);

impl Sessions {
    /// Lets all sessions that are open now leave the pool.
    pub(super) fn renew(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a session of this age was opened since.
    pub(super) fn may_use(&self, age: Duration) -> bool {
        let fault = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fault.is_none_or(|fault| fault.elapsed() >= age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_last_fault_is_not_used_again() {
        let sessions = Sessions::default();
        assert!(sessions.may_use(Duration::MAX));
        sessions.renew();
        assert!(!sessions.may_use(Duration::from_mins(1)));
        assert!(sessions.may_use(Duration::ZERO));
    }
}
