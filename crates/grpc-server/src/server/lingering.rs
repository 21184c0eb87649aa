//! Ends a connection so that its client gets to read the last that was sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Timeout of a client that is to close its side. It learns of the end at once, so this is for the network.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of bytes discarded at a time.
const MAX_DISCARDED_BYTES: usize = 1024;

/// A stream that, once shut down, discards what its client still sends until that closes as well.
///
/// To close it at once would be to reset it: the system does so where something sent to it was not read (an
/// acknowledgement, a window that grew), and the client then loses the answers that it has not read yet.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc9112#section-9.6>, which says it of HTTP/1.1.
pub(super) struct Lingering<S> {
    stream: S,
    /// The rest of the wait, once the own side is shut down.
    left: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    /// A stream that is in use.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, left: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, left } = &mut *self;
        if left.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        let left = left.get_or_insert_with(|| Box::pin(sleep(LINGER_TIMEOUT)));
        let mut discarded = [0; MAX_DISCARDED_BYTES];
        while left.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut discarded);
            let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn what_was_sent_is_read_to_its_end_though_the_client_sent_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut server = Lingering::new(listener.accept().await.unwrap().0);
        server.write_all(b"answer").await.unwrap();
        client.write_all(b"acknowledgement").await.unwrap();
        let ending = tokio::spawn(async move { server.shutdown().await });
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"answer");
        client.write_all(b"to one who does not read").await.expect("the connection is not reset");
        drop(client);
        ending.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stays_is_left_after_a_second() {
        let (client, server) = tokio::io::duplex(64);
        let begin = Instant::now();
        Lingering::new(server).shutdown().await.unwrap();
        assert_eq!(begin.elapsed(), LINGER_TIMEOUT);
        drop(client);
    }
}
