//! The background tasks that sweep: links that nobody came back for end, and events and entries of the audit leave their
//! windows.

use std::time::Duration;

use ig_adapters::persistence::Database;
use ig_application::{EraseRemoved, PurgeAudit, PurgeEvents, Sweep};
use ig_domain::ports::StoreError;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, warn};

/// Interval between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// Interval between two purges of events. Ours: short, so that each has little to delete.
const PURGE_INTERVAL: Duration = Duration::from_secs(20);

/// Interval between two looks for what deleted accounts have left. Ours: a person may watch the page of the deletion.
const ERASE_INTERVAL: Duration = Duration::from_secs(5);

/// Interval between two looks at SQLite's log.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Interval between two rounds of one sweep, in which others may use the store.
const ROUND_INTERVAL: Duration = Duration::from_millis(100);

/// Sweeps each minute, in as many rounds as it takes, until dropped.
pub(crate) async fn sweep_forever(sweep: Sweep) -> ! {
    repeat_forever("sweeping", SWEEP_INTERVAL, async || sweep.execute_round().await).await
}

/// Erases what deleted accounts have left, every [`ERASE_INTERVAL`], in as many rounds as it takes, until dropped.
pub(crate) async fn erase_forever(erasure: EraseRemoved) -> ! {
    repeat_forever("erasing", ERASE_INTERVAL, async || erasure.execute_round().await).await
}

/// Deletes events that have left the window, every [`PURGE_INTERVAL`], in as many rounds as it takes, until dropped.
pub(crate) async fn purge_forever(purge: PurgeEvents) -> ! {
    repeat_forever("purging events", PURGE_INTERVAL, async || purge.execute_round().await).await
}

/// Deletes entries of the audit that have left the window, each minute, in as many rounds as it takes, until dropped.
pub(crate) async fn purge_audit_forever(purge: PurgeAudit) -> ! {
    repeat_forever("purging the audit", SWEEP_INTERVAL, async || purge.execute_round().await).await
}

/// Does this task again and again: at each one, rounds until one has nothing to do.
async fn repeat_forever(
    task: &'static str,
    span: Duration,
    round: impl AsyncFn() -> Result<u64, StoreError>,
) -> ! {
    let mut ticks = interval(span);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed_before = false;
    loop {
        ticks.tick().await;
        let done = repeat_until_done(&round).await;
        match &done {
            Ok(0) => {}
            Ok(touched) => debug!(touched, "{task} is done"),
            // The watch over the store says so.
            Err(StoreError::Unavailable(_) | StoreError::Overloaded(_)) => {
                debug!("the store is away or has too much to do: no {task}");
            }
            Err(_) if failed_before => debug!("{task} fails still"),
            Err(error) => {
                let error = anyhow::Error::new(error.clone());
                warn!(error = format!("{error:#}"), "{task} failed");
            }
        }
        failed_before = done.is_err();
    }
}

/// Keeps SQLite's log small, and empties it soon after something was erased, until dropped.
pub(crate) async fn shrink_log_forever(database: &Database) -> ! {
    let mut looks = interval(LOG_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Err(error) = database.shrink_log().await {
            debug!(%error, "the log of the database stays as large as it is");
        }
    }
}

async fn repeat_until_done(
    round: &impl AsyncFn() -> Result<u64, StoreError>,
) -> Result<u64, StoreError> {
    let mut total = 0;
    loop {
        let touched = round().await?;
        total += touched;
        if touched == 0 {
            return Ok(total);
        }
        sleep(ROUND_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use ig_domain::ports::Cause;

    use super::*;

    /// Repeats these rounds, as far as it goes.
    async fn repeat(rounds: Vec<Result<u64, StoreError>>) -> Result<u64, StoreError> {
        let rounds = RefCell::new(rounds.into_iter());
        repeat_until_done(&async || rounds.borrow_mut().next().unwrap()).await
    }

    #[tokio::test(start_paused = true)]
    async fn rounds_go_on_while_there_is_something_to_do() {
        assert_eq!(repeat(vec![Ok(1500), Ok(3), Ok(0)]).await.unwrap(), 1503);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_round_is_the_last_one_of_its_turn() {
        let away = StoreError::Unavailable(Cause::new("away"));
        let done = repeat(vec![Ok(500), Err(away)]).await;
        assert!(matches!(done, Err(StoreError::Unavailable(_))));
    }
}
