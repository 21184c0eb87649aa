//! Work that outlives its callers and is done once for all who ask for it at the same time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// How many pieces of work may run at once; further callers wait, each within its own deadline.
const AT_ONCE: usize = 256;

type Running<K, V> = Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>;

/// Runs work in tasks of its own, one for each key at a time.
pub(crate) struct SingleFlight<K, V> {
    running: Running<K, V>,
    permits: Arc<Semaphore>,
    tracker: TaskTracker,
}

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Runs work in tasks that `tracker` waits for.
    pub(crate) fn new(tracker: TaskTracker) -> Self {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        Self { running: Running::default(), permits, tracker }
    }

    /// Joins the work under `key` that runs already, or starts `work`. `None` if it panicked.
    pub(crate) async fn join<F>(&self, key: K, work: F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut answer = if let Some(answer) = self.under_way(&key) {
            answer
        } else {
            let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
            self.start(key, permit, work)
        };
        answer.wait_for(Option::is_some).await.ok()?.clone()
    }

    fn under_way(&self, key: &K) -> Option<watch::Receiver<Option<V>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn start<F>(&self, key: K, permit: OwnedSemaphorePermit, work: F) -> watch::Receiver<Option<V>>
    where
        F: Future<Output = V> + Send + 'static,
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
            // Whoever asks from here on asks anew; a failure must not answer a later retry.
            drop(entry);
            drop(permit);
            sender.send_replace(Some(value));
        };
        self.tracker.spawn(task.in_current_span());
        receiver
    }
}

/// Takes its key off the list when dropped, also by a panic.
struct Entry<K: Eq + Hash, V> {
    running: Running<K, V>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
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
                runs.fetch_add(1, Ordering::SeqCst) + 1
            }
        };
        let (open, gate) = oneshot::channel();
        let never = oneshot::channel().1;
        let (first, second, ()) =
            tokio::join!(flights.join(7, work(gate)), flights.join(7, work(never)), async {
                open.send(()).unwrap();
            });
        assert_eq!((first, second), (Some(1), Some(1)));
        let (open, gate) = oneshot::channel();
        open.send(()).unwrap();
        assert_eq!(flights.join(7, work(gate)).await, Some(2));
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
        assert_eq!(flights.join(1, async { panic!("on purpose") }).await, None::<u8>);
        assert_eq!(flights.join(1, async { 5 }).await, Some(5));
    }
}
