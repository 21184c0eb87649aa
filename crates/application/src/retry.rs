//! Holding on while the store is away for a moment, where giving up would lose what Instagram answered.

use std::time::Duration;

use ig_domain::ports::{StoreError, Timer};

/// How often a call that must not be lost is tried.
pub(crate) const MAX_TRIES: u32 = 10;

/// For a call whose failure loses nothing.
pub(crate) const ONCE: u32 = 1;

/// How long to wait between two tries. Where the store refuses at once, all of them take nine seconds; where
/// it hangs, each takes as long as the store's own limit besides.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Makes `call` up to [`MAX_TRIES`] times.
///
/// `call` must be safe to repeat after an attempt whose answer was lost.
pub(crate) async fn retry<T, F>(timer: &dyn Timer, call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    retry_up_to(MAX_TRIES, timer, call).await
}

/// Repeats `call` while the store is unavailable, up to `tries` times in all.
pub(crate) async fn retry_up_to<T, F>(
    tries: u32,
    timer: &dyn Timer,
    mut call: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 1..tries {
        match call().await {
            Err(StoreError::Unavailable(_) | StoreError::Overloaded(_)) => {
                timer.sleep(RETRY_INTERVAL).await;
            }
            done => return done,
        }
    }
    call().await
}
