//! Waiting for a lease that somebody else holds.

use std::time::Duration;

use ig_domain::ports::{Cause, Clock, StoreError, Timer};
use time::OffsetDateTime;

/// How often to look whether the holder has finished.
const LEASE_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum time that a run of work waits for a lease, with all that it does meanwhile. Ours: four times what a dead
/// holder is waited for, and as long as one whose store comes and goes may work. Counted here, whatever the store's
/// clock says: no work waits for ever, and none keeps its caller's place for longer.
const MAX_LEASE_WAIT: Duration = Duration::from_mins(1);

/// The wait of one run of work for a lease, however often it looks for it.
pub(crate) struct LeaseWait<'a> {
    clock: &'a dyn Clock,
    timer: &'a dyn Timer,
    begin: OffsetDateTime,
    slept: Duration,
}

impl<'a> LeaseWait<'a> {
    /// Begins.
    pub(crate) fn new(clock: &'a dyn Clock, timer: &'a dyn Timer) -> Self {
        Self { clock, timer, begin: clock.now(), slept: Duration::ZERO }
    }

    /// Returns when it is time to look again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] once [`MAX_LEASE_WAIT`] has passed.
    pub(crate) async fn pause(&mut self) -> Result<(), StoreError> {
        if self.elapsed() >= MAX_LEASE_WAIT {
            let seconds = MAX_LEASE_WAIT.as_secs();
            let cause = format!("the lease was not given back within {seconds} seconds");
            return Err(StoreError::Unavailable(Cause::new(cause)));
        }
        self.timer.sleep(LEASE_POLL_INTERVAL).await;
        self.slept += LEASE_POLL_INTERVAL;
        Ok(())
    }

    /// The time since the begin; what was slept at least, where the clock was set back.
    fn elapsed(&self) -> Duration {
        let passed = self.clock.now() - self.begin;
        passed.try_into().map_or(self.slept, |passed| self.slept.max(passed))
    }
}

#[cfg(test)]
mod tests {
    use ig_domain::ports::LEASE;
    use ig_test_support::builders::START;
    use ig_test_support::{FakeClock, ImmediateTimer};

    use super::*;

    /// Within what time a dead holder is replaced, as callers are told.
    const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(15);
    /// The longest that any call to the store takes.
    const STORE_CALL_LIMIT: Duration = Duration::from_secs(4);

    #[tokio::test]
    async fn a_wait_ends_after_a_minute_though_the_clock_stands_still() {
        let clock = FakeClock::at(START);
        let mut wait = LeaseWait::new(&clock, &ImmediateTimer);
        for _ in 0..600 {
            wait.pause().await.unwrap();
        }
        wait.pause().await.unwrap_err();
    }

    #[test]
    fn a_dead_holder_is_replaced_in_time_though_the_claim_takes_as_long_as_it_may() {
        assert!(LEASE + LEASE_POLL_INTERVAL + STORE_CALL_LIMIT < TAKEN_OVER_WITHIN);
    }
}
