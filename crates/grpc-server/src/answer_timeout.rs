//! Ends streams whose clients do not take their answers. HTTP/2 itself keeps an answer for as long as its client gives
//! no room for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SetOnce;

/// Time within which a client must take an answer that is whole.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

tokio::task_local! {
    /// That of the stream that runs.
    static CURRENT: AnswerTimeout;
}

/// The timeout of one stream's answer. It does not run until it is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerTimeout(Arc<SetOnce<Duration>>);

impl AnswerTimeout {
    /// That of the stream that runs; `None` where none does, as in a test.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Resets the stream after `limit`, unless its client has taken its answer by then. The first limit counts.
    pub(crate) fn start(&self, limit: Duration) {
        let _runs_already = self.0.set(limit);
    }

    /// Returns once it is over.
    async fn over(self) {
        let limit = *self.0.wait().await;
        tokio::time::sleep(limit).await;
    }
}

/// Runs `stream` until its answer is taken or its [`AnswerTimeout`] is over.
pub(crate) fn limited(stream: impl Future) -> impl Future<Output = ()> {
    let timeout = AnswerTimeout::default();
    CURRENT.scope(timeout.clone(), async {
        tokio::select! {
            biased;
            _ = stream => {}
            () = timeout.over() => tracing::debug!("a client did not take its answer"),
        }
    })
}

/// `handler`, to run in another task as a part of the stream that runs.
pub(crate) fn part_of_stream<F: Future>(handler: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(AnswerTimeout::current().unwrap_or_default(), handler)
}

/// Starts [`ANSWER_TIMEOUT`] for the stream that runs: its answer is there, and whole, for its client to take.
pub(crate) fn answered() {
    if let Some(timeout) = AnswerTimeout::current() {
        timeout.start(ANSWER_TIMEOUT);
    }
}
