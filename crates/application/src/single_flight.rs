//! Single flight: work that outlives its callers and is done once for all concurrent callers of one key.

use std::collections::HashMap;
use std::error::Error;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Maximum number of pieces of work that run at once; further callers wait, each within its own deadline.
const MAX_CONCURRENT_WORK: usize = 256;

/// Receiver of the answer of a piece of work.
type Answer<T, E> = watch::Receiver<Option<Result<T, E>>>;

type Running<K, T, E> = Arc<Mutex<HashMap<K, Answer<T, E>>>>;

/// Runs work in tasks of its own, one for each key at a time.
pub(crate) struct SingleFlight<K, T, E> {
    running: Running<K, T, E>,
    permits: Arc<Semaphore>,
    tracker: TaskTracker,
}

impl<K, T, E> SingleFlight<K, T, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
    E: Error + Clone + Send + Sync + 'static,
{
    /// Runs work in tasks that `tracker` waits for.
    pub(crate) fn new(tracker: TaskTracker) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_CONCURRENT_WORK));
        Self { running: Running::default(), permits, tracker }
    }

    /// Joins the running work under `key`, or starts `work`. `None` if it panicked.
    pub(crate) async fn join<F>(&self, key: K, work: F) -> Option<Result<T, E>>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let mut answer = if let Some(answer) = self.under_way(&key) {
            answer
        } else {
            let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
            self.start(key, permit, work)
        };
        answer.wait_for(Option::is_some).await.ok()?.clone()
    }

    fn under_way(&self, key: &K) -> Option<Answer<T, E>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn start<F>(&self, key: K, permit: OwnedSemaphorePermit, work: F) -> Answer<T, E>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = running.get(&key) {
            return answer.clone();
        }
        let (sender, receiver) = watch::channel(None);
        running.insert(key.clone(), receiver.clone());
        let entry = Entry { running: Arc::clone(&self.running), key };
        let task = async move {
            let value = work.await;
            // Callers that come from here on ask anew; a failure must not answer a later retry.
            drop(entry);
            drop(permit);
            if let Err(unheard) = sender.send(Some(value)) {
                note(unheard.0.as_ref());
            }
        };
        self.tracker.spawn(task.in_current_span());
        receiver
    }
}

/// Logs the result of work whose callers have all left, since nobody else will.
fn note<T, E: Error + 'static>(unheard: Option<&Result<T, E>>) {
    if let Some(Err(error)) = unheard {
        let error: &(dyn Error + 'static) = error;
        tracing::warn!(error, "work failed after its callers had left");
    } else {
        tracing::info!("work was finished after its callers had left");
    }
}

/// Removes its key from the running work when dropped, also by a panic.
struct Entry<K: Eq + Hash, T, E> {
    running: Running<K, T, E>,
    key: K,
}

impl<K: Eq + Hash, T, E> Drop for Entry<K, T, E> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_run_and_later_ones_do_not() {
        let flights = SingleFlight::new(TaskTracker::new());
        let runs = Arc::new(AtomicU32::new(0));
        let work = |gate: oneshot::Receiver<()>| {
            let runs = Arc::clone(&runs);
            async move {
                gate.await.unwrap();
                Ok::<_, fmt::Error>(runs.fetch_add(1, Ordering::SeqCst) + 1)
            }
        };
        let (open, gate) = oneshot::channel();
        let never = oneshot::channel().1;
        let (first, second, ()) =
            tokio::join!(flights.join(7, work(gate)), flights.join(7, work(never)), async {
                open.send(()).unwrap();
            });
        assert_eq!((first, second), (Some(Ok(1)), Some(Ok(1))));
        let (open, gate) = oneshot::channel();
        open.send(()).unwrap();
        assert_eq!(flights.join(7, work(gate)).await, Some(Ok(2)));
    }

    #[tokio::test]
    async fn work_outlives_its_caller_and_the_tracker_waits_for_it() {
        let tracker = TaskTracker::new();
        let flights = SingleFlight::new(tracker.clone());
        let (open, gate) = oneshot::channel();
        let (done, finished) = oneshot::channel();
        let caller = flights.join((), async move {
            gate.await.unwrap();
            done.send(()).unwrap();
            Ok::<_, fmt::Error>(())
        });
        tokio::select! {
            biased;
            _ = caller => panic!("the gate is closed"),
            () = std::future::ready(()) => {}
        }
        open.send(()).unwrap();
        tracker.close();
        tracker.wait().await;
        assert_eq!(finished.await, Ok(()));
    }

    #[tokio::test]
    async fn a_panic_answers_none_and_blocks_nobody() {
        let flights = SingleFlight::new(TaskTracker::new());
        let panicking = async { panic!("on purpose") };
        assert_eq!(flights.join(1, panicking).await, None::<Result<u8, fmt::Error>>);
        assert_eq!(flights.join(1, async { Ok(5) }).await, Some(Ok(5)));
    }
}
