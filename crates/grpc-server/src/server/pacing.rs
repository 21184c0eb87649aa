//! Paces a connection: bounds what it reads before the calls in it are begun, and how long it waits for its client to
//! read.

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
    /// Timeout of a write, while one waits.
    blocked: Option<Pin<Box<Sleep>>>,
}

impl Turn {
    /// Runs `future`, each poll of which is a turn.
    pub(super) async fn each<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            self.read.store(0, Ordering::Relaxed);
            future.as_mut().poll(context)
        })
        .await
    }
}

impl<S> Paced<S> {
    /// The stream, read in turns.
    pub(super) fn new(stream: S, turn: Turn) -> Self {
        Self { stream, turn, blocked: None }
    }

    /// Starts or stops the timeout of a write; fails where that is over.
    fn progress<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
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

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::{Instant, timeout};

    use super::*;

    /// Polls a read once.
    fn read(paced: &mut (impl AsyncRead + Unpin), context: &mut Context<'_>) -> Poll<usize> {
        let mut bytes = [0; 1024];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = Pin::new(paced).poll_read(context, &mut buffer);
        read.map(|read| read.map(|()| buffer.filled().len()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_read_in_one_turn_and_the_rest_in_the_next() {
        let (mut client, server) = duplex(1024 * 1024);
        let turn = Turn::default();
        let mut paced = Paced::new(server, turn.clone());
        client.write_all(&vec![0; 3 * MAX_READ_PER_TURN]).await.unwrap();
        let mut turns = Vec::new();
        let reading = std::future::poll_fn(|context| {
            let mut sum = 0;
            while let Poll::Ready(count @ 1..) = read(&mut paced, context) {
                sum += count;
            }
            turns.push(sum);
            if turns.len() < 3 { Poll::Pending } else { Poll::Ready(()) }
        });
        let read = timeout(WRITE_TIMEOUT, turn.each(reading)).await;
        read.expect("each turn brings about the next");
        assert_eq!(turns, [MAX_READ_PER_TURN; 3]);
    }

    #[tokio::test]
    async fn nothing_is_read_while_nothing_can_be_written() {
        let (mut client, server) = duplex(64);
        let mut paced = Paced::new(server, Turn::default());
        client.write_all(b"request").await.unwrap();
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert_eq!(
            Pin::new(&mut paced).poll_write(&mut context, &[0; 64]).map(Result::unwrap),
            Poll::Ready(64)
        );
        assert!(Pin::new(&mut paced).poll_write(&mut context, b"more").is_pending());
        assert!(read(&mut paced, &mut context).is_pending());
        client.read_exact(&mut [0; 64]).await.unwrap();
        paced.write_all(b"more").await.unwrap();
        assert_eq!(read(&mut paced, &mut context), Poll::Ready(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_given_up_and_one_that_reads_slowly_is_not() {
        let (mut client, server) = duplex(64);
        let mut paced = Paced::new(server, Turn::default());
        let writing = tokio::spawn(async move {
            let error = paced.write_all(&[0; 1024]).await.unwrap_err();
            (error.kind(), Instant::now())
        });
        for _ in 0..3 {
            tokio::time::sleep(WRITE_TIMEOUT * 9 / 10).await;
            client.read_exact(&mut [0; 64]).await.unwrap();
        }
        let last = Instant::now();
        let given_up = timeout(2 * WRITE_TIMEOUT, writing).await;
        let (kind, given_up) = given_up.expect("it is given up").unwrap();
        assert_eq!((kind, given_up - last), (ErrorKind::TimedOut, WRITE_TIMEOUT));
    }
}
