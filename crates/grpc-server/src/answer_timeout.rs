//! Ends streams whose clients do not take their answers. HTTP/2 itself keeps an answer for as long as its client gives
//! no room for it.

use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::sync::Notify;

/// Time within which a client must take an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

tokio::task_local! {
    /// Notified once the answer is there.
    static ANSWERED: Arc<Notify>;
}

/// Runs the task of each stream, until its answer is taken or [`ANSWER_TIMEOUT`] is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamTasks;

impl<F> Executor<F> for StreamTasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let answered = Arc::new(Notify::new());
        let timeout = {
            let answered = Arc::clone(&answered);
            async move {
                answered.notified().await;
                tokio::time::sleep(ANSWER_TIMEOUT).await;
            }
        };
        tokio::spawn(ANSWERED.scope(answered, async {
            tokio::select! {
                biased;
                _ = stream => {}
                () = timeout => tracing::debug!("a client did not take its answer"),
            }
        }));
    }
}

/// Starts [`ANSWER_TIMEOUT`] for this task's stream: its answer is there, and whole, for its client to take.
pub(crate) fn answered() {
    // A call outside such a task is one of a test.
    let _told = ANSWERED.try_with(|answered| answered.notify_one());
}
