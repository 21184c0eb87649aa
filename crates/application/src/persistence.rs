//! Holding on while the store is away for a moment, where giving up would lose what Instagram answered.

use std::time::Duration;

use ig_domain::ports::{StoreError, Timer};

/// How often a write that must not be lost is tried.
const TRIES: u32 = 10;

/// How long to wait between two tries. Where the store refuses at once, all of them take nine seconds; where
/// it hangs, each takes as long as the store's own limit besides.
const PAUSE: Duration = Duration::from_secs(1);

/// Repeats `write` while the store is unavailable, ten times at most.
///
/// `write` must be safe to repeat after an attempt whose answer was lost.
pub(crate) async fn persistently<F>(
    timer: &dyn Timer,
    mut write: impl FnMut() -> F,
) -> Result<(), StoreError>
where
    F: Future<Output = Result<(), StoreError>>,
{
    for _ in 1..TRIES {
        match write().await {
            Err(StoreError::Unavailable(_) | StoreError::Overloaded(_)) => timer.sleep(PAUSE).await,
            done => return done,
        }
    }
    write().await
}
