//! Waiting for a lease of another holder.

use std::time::{Duration, Instant};

use ig_domain::ports::{Cause, StoreError, Timer};

/// Maximum time until a dead holder of a lease is replaced, as operators are told. Only tests read it: they hold the
/// lifetimes of leases and the waits to it.
pub const MAX_TAKEOVER_TIME: Duration = Duration::from_secs(15);

/// Interval between two looks at the lease of another holder.
const LEASE_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum time that a run of work waits for a lease, with all that it does meanwhile. Ours: four times the wait for a
/// dead holder, and as long as a holder whose store comes and goes may work. Real time, whatever the clocks of business
/// and store say: no work waits for ever, and none keeps its caller's slot for longer.
const MAX_LEASE_WAIT: Duration = MAX_TAKEOVER_TIME.saturating_mul(4);

/// The wait of one run of work for a lease, over all its looks at it.
pub(crate) struct LeaseWait<'a> {
    timer: &'a dyn Timer,
    begin: Instant,
}

impl<'a> LeaseWait<'a> {
    /// Starts the wait.
    pub(crate) fn new(timer: &'a dyn Timer) -> Self {
        Self { timer, begin: timer.now() }
    }

    /// Returns after [`LEASE_POLL_INTERVAL`], when the lease is to be looked at again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] once [`MAX_LEASE_WAIT`] has passed.
    pub(crate) async fn pause(&self) -> Result<(), StoreError> {
        if self.timer.now().duration_since(self.begin) >= MAX_LEASE_WAIT {
            let seconds = MAX_LEASE_WAIT.as_secs();
            let cause = format!("the lease was not given back within {seconds} seconds");
            return Err(StoreError::Unavailable(Cause::new(cause)));
        }
        self.timer.sleep(LEASE_POLL_INTERVAL).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ig_domain::ports::{ATTEMPT_LEASE, RENEWAL_LEASE, STORE_CALL_TIMEOUT};
    use ig_test_support::FakeTimer;

    use super::*;

    #[tokio::test]
    async fn a_wait_ends_after_a_minute() {
        let timer = FakeTimer::new();
        let wait = LeaseWait::new(&timer);
        for _ in 0..600 {
            wait.pause().await.unwrap();
        }
        wait.pause().await.unwrap_err();
    }

    #[test]
    fn a_dead_holder_is_replaced_in_time_though_the_claim_takes_as_long_as_it_may() {
        for lease in [ATTEMPT_LEASE, RENEWAL_LEASE] {
            assert!(lease + LEASE_POLL_INTERVAL + STORE_CALL_TIMEOUT < MAX_TAKEOVER_TIME);
        }
    }
}
