//! Paced reads and writes.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Mutex;

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Instant, timeout};

use super::*;
use crate::server::http2;
use crate::server::streams::Streams;

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
    let read = timeout(WRITE_TIMEOUT, turn.each(reading, || {})).await;
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

/// A stream that keeps the number of bytes of each write.
struct Recorded {
    stream: DuplexStream,
    writes: Arc<Mutex<Vec<usize>>>,
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.lock().unwrap().push(bytes.len());
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect();
        self.poll_write(context, &bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// Numbers of bytes of the writes in which so many answers of so many bytes left, to calls that came together.
async fn writes_of(answers: usize, bytes: usize) -> Vec<usize> {
    let (client, server) = duplex(1024 * 1024);
    let writes = Arc::<Mutex<Vec<usize>>>::default();
    let recorded = Recorded { stream: server, writes: Arc::clone(&writes) };
    let answer = service_fn(move |_: Request<_>| {
        let trailers = async { Some(Ok::<_, Infallible>(HeaderMap::new())) };
        let body = Full::new(Bytes::from(vec![1; bytes])).with_trailers(trailers);
        ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let (turn, streams) = (Turn::default(), Streams::default());
    let paced = TokioIo::new(Paced::new(recorded, turn.clone()));
    tokio::spawn(async move {
        let connection = http2::builder(streams.begun()).serve_connection(paced, answer);
        turn.each(connection, || streams.run()).await
    });
    let (mut sender, connection) = h2::client::handshake(client).await.unwrap();
    tokio::spawn(connection);
    let mut calls = Vec::new();
    for _ in 0..answers {
        sender = sender.ready().await.unwrap();
        calls.push(sender.send_request(Request::new(()), true).unwrap().0);
    }
    for call in calls {
        let mut body = call.await.unwrap().into_body();
        let mut arrived = 0;
        while let Some(data) = body.data().await {
            arrived += data.unwrap().len();
        }
        assert_eq!(arrived, bytes);
    }
    let writes = writes.lock().unwrap();
    writes.iter().copied().filter(|write| *write >= bytes).collect()
}

#[tokio::test]
async fn small_answers_of_one_turn_leave_in_one_write() {
    let writes = writes_of(8, 421).await;
    assert!(matches!(writes[..], [together] if together > 8 * 421), "{writes:?}");
}

#[tokio::test]
async fn a_large_answer_leaves_together_with_its_head() {
    let writes = writes_of(1, 16_000).await;
    assert!(matches!(writes[..], [whole] if whole > 16_000 + 9), "{writes:?}");
}
