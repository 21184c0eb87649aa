//! A clock that a test sets.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{Clock, Timer};
use time::OffsetDateTime;

/// A clock that stands still until it is moved. Clones share the time.
#[derive(Clone)]
pub struct FakeClock(Arc<Mutex<OffsetDateTime>>);

impl FakeClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: OffsetDateTime) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Moves the clock on.
    pub fn advance(&self, span: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += span;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A timer that never waits, but lets others run.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImmediateTimer;

#[async_trait]
impl Timer for ImmediateTimer {
    async fn sleep(&self, _span: Duration) {
        tokio::task::yield_now().await;
    }
}
