//! Retries while the store is away for a moment, where giving up would lose Instagram's answer.

use std::time::Duration;

use ig_domain::ports::{StoreError, Timer};

/// Maximum number of tries of a call that must not be lost.
pub(crate) const MAX_TRIES: u32 = 10;

/// Number of tries of a call whose failure loses nothing.
pub(crate) const ONCE: u32 = 1;

/// Interval between two tries. Where the store refuses at once, all tries take nine seconds; where it hangs, each also
/// takes the store's own timeout.
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

/// Retries `call` while the store is unavailable or overloaded, up to `tries` tries in all.
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
