//! Requests are answered, whatever other connections do.

use std::io;
use std::net::SocketAddr;

use axum::body::Bytes;
use axum::routing::get;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::Instant;

use super::*;

const REQUEST: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";

/// Size of an answer that no socket buffers whole, in bytes.
const LONG_ANSWER: usize = 4 << 20;

/// Time that an answer takes that a stop meets under way.
const SLOW_ANSWER: Duration = Duration::from_secs(3);

/// Size of the sockets' buffers, in bytes.
const SOCKET_BUFFER: u32 = 64 * 1024;

const LIMITS: HttpLimits = HttpLimits {
    max_connections: 128,
    max_head_size: 8 * 1024,
    keep_alive: false,
    max_lifetime: Duration::from_secs(10),
    drain_timeout: Duration::ZERO,
};

/// Starts a server; returns its address.
fn served() -> SocketAddr {
    served_within(LIMITS).0
}

/// The same within these limits, with its stop, and the tracker of its connections.
fn served_within(limits: HttpLimits) -> (SocketAddr, CancellationToken, TaskTracker) {
    let socket = TcpSocket::new_v4().unwrap();
    // So that little of an answer is sent that nobody reads.
    socket.set_send_buffer_size(SOCKET_BUFFER).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1024).unwrap();
    let address = listener.local_addr().unwrap();
    let long = Bytes::from(vec![b'x'; LONG_ANSWER]);
    let routes = Router::new()
        .route("/a", get("answer"))
        .route("/long", get(async || long))
        .route("/slow", get(async || sleep(SLOW_ANSWER).await));
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    tracker.spawn(serve(listener, routes, limits, stop.clone(), tracker.clone()));
    (address, stop, tracker)
}

/// Sends this, and reads until the server closes.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Bytes sent beyond those read may reset the connection behind the answer.
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8(answer).unwrap()
}

/// Reads until the server has closed this connection; returns the number of bytes.
async fn closed(stream: &mut TcpStream) -> usize {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer).await {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    answer.len()
}

#[rstest]
#[case::get(REQUEST, "HTTP/1.1 200 OK", "answer")]
#[case::head("HEAD /a HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK", "\r\n\r\n")]
#[case::post("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 405", "")]
#[case::elsewhere("GET /b HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 404", "")]
#[case::no_http("\0\0\0\r\n\r\n", "HTTP/1.1 400", "")]
#[case::http2("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", "")]
#[case::a_long_head(&format!("GET /a HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(64 * 1024)), "HTTP/1.1 431", "")]
#[tokio::test]
async fn one_request_is_answered_and_the_connection_closed(
    #[case] request: &str,
    #[case] begin: &str,
    #[case] end: &str,
) {
    let answer = exchange(served(), request).await;
    assert!(answer.starts_with(begin) && answer.ends_with(end), "{answer}");
}

#[rstest]
#[case::silent("")]
#[case::half_a_head("GET /a HTTP/1.1\r\nhost:")]
#[case::unread("GET /long HTTP/1.1\r\nhost: a\r\n\r\n")]
#[tokio::test]
async fn connections_that_stay_hold_up_no_request(#[case] sent: &str) {
    let address = served();
    let mut staying = Vec::new();
    let begin = Instant::now();
    for _ in 0..2 * LIMITS.max_connections {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(SOCKET_BUFFER).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        staying.push(stream);
    }
    let answer = exchange(address, REQUEST).await;
    assert!(answer.ends_with("answer"), "{answer}");
    assert!(begin.elapsed() < HEAD_TIMEOUT, "it waited until the others were cut");
}

#[tokio::test]
async fn a_connection_without_a_request_is_evicted_before_one_with_a_request() {
    let address = served();
    let mut asking = TcpStream::connect(address).await.unwrap();
    asking.write_all(b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    asking.read_exact(&mut [0]).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..LIMITS.max_connections {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(closed(&mut silent[0]).await, 0);
    assert!(closed(&mut asking).await >= LONG_ANSWER);
}

#[rstest]
#[case::silent("", HEAD_TIMEOUT)]
#[case::half_a_head("GET /a HTTP/1.1\r\nhost:", HEAD_TIMEOUT)]
#[case::unread("GET /long HTTP/1.1\r\nhost: a\r\n\r\n", LIMITS.max_lifetime)]
#[tokio::test(start_paused = true)]
async fn a_connection_that_stays_is_cut(#[case] sent: &str, #[case] limit: Duration) {
    let address = served();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let second = Duration::from_secs(1);
    sleep(limit + second).await;
    let read = timeout(second, closed(&mut stream)).await.expect("it is cut");
    assert!(read < LONG_ANSWER, "the whole answer was sent");
}

/// Reads until an answer's head is whole; returns it.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

const KEPT_ALIVE: HttpLimits =
    HttpLimits { keep_alive: true, drain_timeout: Duration::from_secs(20), ..LIMITS };

#[tokio::test]
async fn a_connection_that_is_kept_alive_brings_several_requests() {
    let (address, ..) = served_within(KEPT_ALIVE);
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"HEAD /a HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_kept_alive_ends_after_its_lifetime() {
    let (address, ..) = served_within(KEPT_ALIVE);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let begin = Instant::now();
    while begin.elapsed() < 2 * KEPT_ALIVE.max_lifetime {
        let sent = stream.write_all(b"HEAD /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let read = stream.read(&mut [0; 1024]).await;
        if sent.is_err() || read.map_or(true, |length| length == 0) {
            assert!(begin.elapsed() >= KEPT_ALIVE.max_lifetime);
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
    panic!("it still brings requests");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_idle_connections_at_once_and_lets_answers_end() {
    let (address, stop, tracker) = served_within(KEPT_ALIVE);
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"HEAD /a HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    head(&mut idle).await;
    let mut asking = TcpStream::connect(address).await.unwrap();
    asking.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    sleep(SLOW_ANSWER / 3).await;
    stop.cancel();
    tracker.close();
    assert_eq!(closed(&mut idle).await, 0);
    assert!(head(&mut asking).await.starts_with("HTTP/1.1 200 OK"));
    timeout(Duration::from_secs(1), tracker.wait()).await.expect("all connections have ended");
    assert!(TcpStream::connect(address).await.is_err(), "no new connection");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_an_answer_that_nobody_reads_for_a_while_only() {
    let (address, stop, tracker) = served_within(KEPT_ALIVE);
    let mut unread = TcpStream::connect(address).await.unwrap();
    unread.write_all(b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    unread.read_exact(&mut [0]).await.unwrap();
    let begin = Instant::now();
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    assert_eq!(begin.elapsed().as_secs(), KEPT_ALIVE.drain_timeout.as_secs());
}
