//! Runs the streams of a connection, each of which is a call.

#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::rt::Executor;

use crate::answer_timeout::limited;

/// Streams of one connection that have begun since they were last run. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl Streams {
    /// Runs each one as far as it comes without waiting, which is mostly to its end. One that waits goes on in a task of
    /// its own.
    pub(super) fn run(&self) {
        for mut stream in std::mem::take(&mut *self.begun()) {
            // A panic ends this stream only; the panic hook has said where.
            if AssertUnwindSafe(&mut stream).catch_unwind().now_or_never().is_none() {
                tokio::spawn(stream);
            }
        }
    }

    fn begun(&self) -> MutexGuard<'_, Vec<BoxFuture<'static, ()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.begun().push(Box::pin(limited(stream)));
    }
}
