//! Runs the streams of a connection, each of which is a call.

#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::rt::Executor;

use super::busy_polling;
use super::gathered_wakes::Gathered;
use crate::answer_timeout::limited;

/// Streams of one connection. Those that have begun and were not run yet end when this is dropped.
#[derive(Default)]
pub(super) struct Streams {
    begun: BegunStreams,
}

/// Streams that have begun since they were last run. Clones share them; HTTP/2 also keeps one in each stream.
#[derive(Clone, Default)]
pub(super) struct BegunStreams(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl Streams {
    /// Where streams begin.
    pub(super) fn begun(&self) -> BegunStreams {
        self.begun.clone()
    }

    /// Runs each one as far as it comes without waiting, which is mostly to its end. One that waits goes on in a task of
    /// its own.
    pub(super) fn run(&self) {
        loop {
            let begun = self.begun.take();
            if begun.is_empty() {
                return;
            }
            busy_polling::call_has_begun();
            for mut stream in begun {
                // A panic ends this stream only; the panic hook has said where.
                if AssertUnwindSafe(&mut stream).catch_unwind().now_or_never().is_none() {
                    tokio::spawn(Gathered::new(stream));
                }
            }
        }
    }
}

impl Drop for Streams {
    /// Each stream keeps the others, so they would never end by themselves after a panic in their connection's turn.
    fn drop(&mut self) {
        drop(self.begun.take());
    }
}

impl BegunStreams {
    fn take(&self) -> Vec<BoxFuture<'static, ()>> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<BoxFuture<'static, ()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Executor<F> for BegunStreams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.lock().push(Box::pin(limited(stream)));
    }
}
