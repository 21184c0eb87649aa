//! Busy polling: where calls follow each other quickly, a thread of connections looks for the next one for a while
//! before it sleeps. A processor that sleeps can take longer to wake than a call from memory takes altogether.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::Instant;

/// Maximum time to poll for a call. A thread polls only after a call that began within this time of the one before.
///
/// Source: <https://docs.kernel.org/virt/guest-halt-polling.html>, the default of `guest_halt_poll_ns`, with which Linux
/// bounds the same for a processor.
const MAX_POLLING: Duration = Duration::from_micros(200);

thread_local! {
    /// Told of calls that begin on this thread; `None` where nothing polls.
    static BEGUN: RefCell<Option<Arc<Notify>>> = const { RefCell::new(None) };
}

/// Says that a call has begun on this thread.
pub(super) fn call_has_begun() {
    // Calls that begin together are one: none is kept for later.
    BEGUN.with_borrow(|begun| begun.as_deref().map(Notify::notify_waiters));
}

/// Polls for calls on this thread, as a task of the runtime whose only thread it is.
///
/// After a call that came while it polled, the thread sleeps as ever. So it polls in at most every second wait.
pub(super) fn poll_for_calls() -> impl Future<Output = ()> + Send {
    let begun = Arc::new(Notify::new());
    BEGUN.set(Some(Arc::clone(&begun)));
    async move {
        let mut last: Option<Instant> = None;
        loop {
            begun.notified().await;
            let now = Instant::now();
            let is_quick = last.is_some_and(|last| now.duration_since(last) < MAX_POLLING);
            last = Some(now);
            if is_quick {
                tokio::select! {
                    biased;
                    () = begun.notified() => last = Some(Instant::now()),
                    () = keep_awake(now + MAX_POLLING) => {}
                }
            }
        }
    }
}

/// Keeps the runtime from waiting until then.
async fn keep_awake(end: Instant) {
    while Instant::now() < end {
        // Tasks that are ready have their turn before, so that answers leave; then the processor is offered to other threads.
        yield_now().await;
        thread::yield_now();
    }
}
