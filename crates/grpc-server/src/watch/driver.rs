//! Runs all streams of a process in one task.
//!
//! Most wait for the same changes, and have little to do at each. As tasks of their own they would wake every thread of
//! the runtime at each change, which costs more than what they do.

use std::panic::AssertUnwindSafe;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::coop::unconstrained;
use tokio_util::task::TaskTracker;

/// Where streams run. Its task ends once this is dropped and the last stream has ended.
pub(crate) struct StreamDriver {
    streams: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    tracker: TaskTracker,
}

impl StreamDriver {
    /// Runs streams on the current runtime; `tracker` waits for each.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub(crate) fn start(tracker: TaskTracker) -> Self {
        let (streams, opened) = mpsc::unbounded_channel();
        // All streams share the turns of one task, so none of them counts its own: the set ends each turn.
        tokio::spawn(unconstrained(run_all(opened)));
        Self { streams, tracker }
    }

    /// Runs `stream` to its end. A panic ends this stream only; the panic hook says where.
    pub(crate) fn run(&self, stream: impl Future<Output = ()> + Send + 'static) {
        let stream = AssertUnwindSafe(stream).catch_unwind().map(|_| ());
        if self.streams.send(self.tracker.track_future(stream).boxed()).is_err() {
            tracing::error!("a stream was opened after the task of streams had ended");
        }
    }
}

async fn run_all(mut opened: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>) {
    let (mut streams, mut is_open) = (FuturesUnordered::new(), true);
    while is_open || !streams.is_empty() {
        tokio::select! {
            stream = opened.recv(), if is_open => match stream {
                Some(stream) => streams.push(stream),
                None => is_open = false,
            },
            Some(()) = streams.next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_stream_that_panics_ends_no_other_one() {
        let tracker = TaskTracker::new();
        let driver = StreamDriver::start(tracker.clone());
        let (go_on, told) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        driver.run(async move { end.send(told.await.unwrap()).unwrap() });
        driver.run(async { panic!("a stream panics") });
        while tracker.len() > 1 {
            tokio::task::yield_now().await;
        }
        go_on.send(7).unwrap();
        assert_eq!(ended.await, Ok(7));
    }

    #[tokio::test]
    async fn its_task_ends_with_the_last_stream_once_it_is_dropped() {
        let tracker = TaskTracker::new();
        let driver = StreamDriver::start(tracker.clone());
        let (go_on, told) = oneshot::channel::<()>();
        driver.run(async move { told.await.unwrap() });
        drop(driver);
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        tokio::task::yield_now().await;
        assert_eq!((tasks(), tracker.len()), (1, 1));
        go_on.send(()).unwrap();
        tracker.close();
        tracker.wait().await;
        while tasks() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
