//! The open connections. Where all places are taken, a new connection evicts another one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Open connections, the oldest first.
pub(super) struct Connections {
    max: usize,
    open: VecDeque<Connection>,
    tracker: TaskTracker,
}

struct Connection {
    requested: Requested,
    task: JoinHandle<()>,
}

/// Whether a connection has sent a request.
#[derive(Clone, Default)]
pub(super) struct Requested(Arc<AtomicBool>);

impl Connections {
    /// No connection yet, and at most `max`. `tracker` waits for their tasks.
    pub(super) fn new(max: usize, tracker: TaskTracker) -> Self {
        Self { max, open: VecDeque::with_capacity(max), tracker }
    }

    /// Serves one more connection in a task of its own.
    pub(super) async fn open<F>(&mut self, serve: impl FnOnce(Requested) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.open.retain(|connection| !connection.task.is_finished());
        if self.open.len() >= self.max {
            self.evict().await;
        }
        let requested = Requested::default();
        let task = self.tracker.spawn(serve(requested.clone()));
        self.open.push_back(Connection { requested, task });
    }

    /// Ends the connection that has been without a request for the longest time; where all have sent one, the oldest.
    async fn evict(&mut self) {
        let silent = self.open.iter().position(|connection| !connection.requested.get());
        if let Some(evicted) = self.open.remove(silent.unwrap_or_default()) {
            evicted.task.abort();
            // Its file descriptor is free only then. An abort is no failure.
            let _ = evicted.task.await;
        }
    }
}

impl Requested {
    /// Notes that the request came.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_never_more_than_the_maximum() {
        let alive = Arc::new(());
        let mut connections = Connections::new(3, TaskTracker::new());
        for _ in 0..10 {
            let held = Arc::clone(&alive);
            connections
                .open(|requested| async move {
                    requested.set();
                    std::future::pending::<()>().await;
                    drop(held);
                })
                .await;
            assert!(Arc::strong_count(&alive) <= 1 + 3);
        }
        assert_eq!(Arc::strong_count(&alive), 1 + 3);
    }
}
