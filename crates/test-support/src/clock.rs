//! A clock and a timer that a test sets.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ig_domain::ports::{Clock, Timer};
use time::OffsetDateTime;
use tokio::sync::watch;

/// A clock that stands still until it is moved. Clones share the time.
#[derive(Clone)]
pub struct FakeClock(Arc<watch::Sender<Shown>>);

/// Time of a [`FakeClock`], and how often it was moved.
struct Shown {
    now: OffsetDateTime,
    jumps: u64,
}

impl FakeClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: OffsetDateTime) -> Self {
        Self(Arc::new(watch::Sender::new(Shown { now, jumps: 0 })))
    }

    /// Moves the clock on, and wakes whoever waits for a jump.
    pub fn advance(&self, span: Duration) {
        self.0.send_modify(|shown| {
            shown.now += span;
            shown.jumps += 1;
        });
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn now(&self) -> OffsetDateTime {
        self.0.borrow().now
    }

    fn jumps(&self) -> u64 {
        self.0.borrow().jumps
    }

    async fn jumped(&self, seen: u64) {
        let mut shown = self.0.subscribe();
        let _ = shown.wait_for(|shown| shown.jumps != seen).await;
    }
}

/// A timer that never waits: a sleep moves it on, and lets others run. Clones share the time.
#[derive(Clone)]
pub struct FakeTimer(Arc<Mutex<Instant>>);

impl FakeTimer {
    /// A timer that begins now.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "two of them are not alike")]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Moves the timer on.
    pub fn advance(&self, span: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += span;
    }
}

#[async_trait]
impl Timer for FakeTimer {
    fn now(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sleep(&self, span: Duration) {
        self.advance(span);
        tokio::task::yield_now().await;
    }
}

/// A timer that stands still until it is moved: a sleep ends once it was moved past the sleep's end. Clones share the
/// time.
#[derive(Clone)]
pub struct ManualTimer(Arc<watch::Sender<Instant>>);

impl ManualTimer {
    /// A timer that begins now.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "two of them are not alike")]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Instant::now())))
    }

    /// Moves the timer on, and ends the sleeps whose end it passes.
    pub fn advance(&self, span: Duration) {
        self.0.send_modify(|now| *now += span);
    }
}

#[async_trait]
impl Timer for ManualTimer {
    fn now(&self) -> Instant {
        *self.0.borrow()
    }

    async fn sleep(&self, span: Duration) {
        let end = self.now() + span;
        let _ = self.0.subscribe().wait_for(|now| *now >= end).await;
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_a_jump_is_woken_by_it() {
        let clock = FakeClock::at(datetime!(2026-11-24 8:00 UTC));
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.jumped(0).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(Duration::from_secs(1));
        waiting.await.unwrap();
        assert_eq!(clock.jumps(), 1);
        clock.jumped(0).await;
    }

    #[tokio::test]
    async fn a_sleep_ends_once_the_timer_was_moved_past_its_end() {
        let timer = ManualTimer::new();
        let sleeping = tokio::spawn({
            let timer = timer.clone();
            async move { timer.sleep(Duration::from_secs(10)).await }
        });
        for _ in 0..2 {
            tokio::task::yield_now().await;
            assert!(!sleeping.is_finished());
            timer.advance(Duration::from_secs(5));
        }
        sleeping.await.unwrap();
    }
}
