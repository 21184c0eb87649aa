//! Paces a connection: bounds what it reads before the calls in it are begun, and how long it waits for its client to
//! read; lets small answers leave together.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Number of bytes after which a connection reads no more in the same turn.
const MAX_READ_PER_TURN: usize = 16 * 1024;

/// Time after which a client is given up that reads nothing of what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// One turn of a connection's task: from when the runtime polls it until it yields.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    read: Arc<AtomicUsize>,
}

/// A stream that yields after [`MAX_READ_PER_TURN`], that reads nothing while it cannot write, and that fails after
/// [`WRITE_TIMEOUT`] without progress.
///
/// HTTP/2 reads all that is there before it begins a call: a burst of calls that are cancelled at once would be counted
/// as an attack. And it answers errors of the client whether or not that reads them.
pub(super) struct Paced<S> {
    stream: S,
    turn: Turn,
    has_written: bool,
    /// Timeout of a write, while one waits.
    blocked: Option<Pin<Box<Sleep>>>,
}

impl Turn {
    /// Runs `future`, each poll of which is a turn, and `after` each turn.
    pub(super) async fn each<F: Future>(&self, future: F, after: impl Fn()) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            self.read.store(0, Ordering::Relaxed);
            let polled = future.as_mut().poll(context);
            after();
            polled
        })
        .await
    }
}

impl<S> Paced<S> {
    /// The stream, read in turns.
    pub(super) fn new(stream: S, turn: Turn) -> Self {
        Self { stream, turn, has_written: false, blocked: None }
    }

    /// Starts or stops the timeout of a write; fails where that is over.
    fn progress<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.has_written = true;
            if self.blocked.take().is_some() {
                // Reading waits for this.
                context.waker().wake_by_ref();
            }
            return written;
        }
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        ready!(blocked.as_mut().poll(context));
        let error = io::Error::new(ErrorKind::TimedOut, "the client reads nothing");
        Poll::Ready(Err(error))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.blocked.is_some() {
            return Poll::Pending;
        }
        if self.turn.read.load(Ordering::Relaxed) >= MAX_READ_PER_TURN {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.turn.read.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.progress(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.progress(shut, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.progress(written, context)
    }

    /// Not before the first write. HTTP/2 asks then for the size up to which it copies a payload behind those that wait
    /// already, so that all of them leave in one write: 1,024 bytes without vectored writes, which an account fits in,
    /// and 256 with them. It asks again at each write, where a larger payload is not copied and leaves with its head.
    ///
    /// Source: <https://github.com/hyperium/h2/blob/v0.4.20/src/codec/framed_write.rs>, `CHAIN_THRESHOLD`.
    fn is_write_vectored(&self) -> bool {
        self.has_written && self.stream.is_write_vectored()
    }
}
