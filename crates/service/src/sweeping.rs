//! The background task that sweeps: links that nobody came back for end.

use std::time::Duration;

use ig_adapters::persistence::Database;
use ig_application::Sweep;
use ig_domain::ports::StoreError;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, warn};

/// Interval between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// Interval between two rounds of one sweep, in which others may use the store.
const ROUND_INTERVAL: Duration = Duration::from_millis(100);

/// Sweeps each minute, in as many rounds as it takes, until dropped.
pub(crate) async fn sweep_forever(sweep: Sweep) -> ! {
    let mut minutes = interval(SWEEP_INTERVAL);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed_before = false;
    loop {
        minutes.tick().await;
        let done = sweep_until_done(&sweep).await;
        match &done {
            Ok(0) => {}
            Ok(touched) => debug!(touched, "the store was swept"),
            // The watch over the store says so.
            Err(StoreError::Unavailable(_) | StoreError::Overloaded(_)) => {
                debug!("the store is away or has too much to do: nothing is swept");
            }
            Err(_) if failed_before => debug!("sweeping fails still"),
            Err(error) => {
                let error = anyhow::Error::new(error.clone());
                warn!(error = format!("{error:#}"), "sweeping failed");
            }
        }
        failed_before = done.is_err();
    }
}

/// Keeps SQLite's log small, looking at it each minute, until dropped.
pub(crate) async fn shrink_log_forever(database: &Database) -> ! {
    let mut minutes = interval(SWEEP_INTERVAL);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        if let Err(error) = database.shrink_log().await {
            debug!(%error, "the log of the database stays as large as it is");
        }
    }
}

async fn sweep_until_done(sweep: &Sweep) -> Result<u64, StoreError> {
    let mut total = 0;
    loop {
        let touched = sweep.execute_round().await?;
        total += touched;
        if touched == 0 {
            return Ok(total);
        }
        sleep(ROUND_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ig_domain::ports::{Cause, MockClock, MockLinkAttempts};
    use time::OffsetDateTime;

    use super::*;

    fn sweep(rounds: Vec<Result<u64, StoreError>>) -> Sweep {
        let mut attempts = MockLinkAttempts::new();
        let mut rounds = rounds.into_iter();
        attempts.expect_sweep().returning(move |_, _| rounds.next().unwrap());
        let mut clock = MockClock::new();
        clock.expect_now().return_const(OffsetDateTime::UNIX_EPOCH);
        Sweep { attempts: Arc::new(attempts), clock: Arc::new(clock) }
    }

    #[tokio::test(start_paused = true)]
    async fn rounds_go_on_while_there_is_something_to_sweep() {
        assert_eq!(sweep_until_done(&sweep(vec![Ok(1500), Ok(3), Ok(0)])).await.unwrap(), 1503);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_round_is_the_last_one_of_its_minute() {
        let away = StoreError::Unavailable(Cause::new("away"));
        let swept = sweep_until_done(&sweep(vec![Ok(500), Err(away)])).await;
        assert!(matches!(swept, Err(StoreError::Unavailable(_))));
    }
}
