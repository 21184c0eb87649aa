//! Connections that break in every way, on raw sockets: what was sent must never be taken for unsent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ig_domain::ports::InstagramErrorKind::{NoAnswer, NotSent, Unavailable, Unreadable};
use ig_metrics::{Registry, TextFormat};
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Short enough to wait for, long enough for a busy machine.
const SHORT: Limits = Limits {
    connect: Duration::from_millis(300),
    attempt: Duration::from_millis(300),
    call: Duration::from_millis(1_500),
    idle: Duration::from_secs(30),
};

/// Behaviour of a server on one connection.
#[derive(Clone, Copy, Debug)]
enum Peer {
    CloseUnread,
    ResetUnread,
    CloseAfterRequest,
    ResetAfterRequest,
    /// Answers that, and closes.
    Answer(&'static str),
    /// Answers that, and leaves the connection open without a further word.
    Stall(&'static str),
    /// Answers each request with `{}`.
    Serve,
    /// Answers one request with `{}`, and closes although it promised to keep the connection.
    ServeOnce,
    /// Answers one request with `{}`, and resets the connection once a second one comes on it: its close and the
    /// request crossed each other.
    ServeOnceThenReset,
}

const EMPTY_OBJECT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

impl Peer {
    async fn meet(self, mut stream: TcpStream) {
        match self {
            Self::CloseUnread => {}
            Self::ResetUnread => stream.set_zero_linger().unwrap(),
            Self::CloseAfterRequest => read_request(&mut stream).await,
            Self::ResetAfterRequest => {
                read_request(&mut stream).await;
                stream.set_zero_linger().unwrap();
            }
            Self::Answer(bytes) => {
                read_request(&mut stream).await;
                stream.write_all(bytes.as_bytes()).await.unwrap();
            }
            Self::Stall(bytes) => {
                read_request(&mut stream).await;
                stream.write_all(bytes.as_bytes()).await.unwrap();
                std::future::pending::<()>().await;
            }
            Self::Serve => loop {
                read_request(&mut stream).await;
                if stream.write_all(EMPTY_OBJECT.as_bytes()).await.is_err() {
                    return;
                }
            },
            Self::ServeOnce => {
                read_request(&mut stream).await;
                stream.write_all(EMPTY_OBJECT.as_bytes()).await.unwrap();
            }
            Self::ServeOnceThenReset => {
                read_request(&mut stream).await;
                stream.write_all(EMPTY_OBJECT.as_bytes()).await.unwrap();
                read_request(&mut stream).await;
                stream.set_zero_linger().unwrap();
            }
        }
    }
}

/// Reads until head and form of one request are there, or the client is gone.
async fn read_request(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    let whole = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let head = text.find("\r\n\r\n");
        head.is_some_and(|_| text.starts_with("GET") || text.ends_with("code=AQD1"))
    };
    while !whole(&bytes) {
        if stream.read_buf(&mut bytes).await.unwrap_or_default() == 0 {
            return;
        }
    }
}

/// A server whose every connection does as told; and the number of connections so far.
async fn serve(peer: Peer) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let met = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&met);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(peer.meet(stream));
        }
    });
    (url, met)
}

fn transport(limits: Limits) -> Transport {
    counted_transport(limits).0
}

/// A transport, and the registry that counts its requests.
fn counted_transport(limits: Limits) -> (Transport, Registry) {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut registry = Registry::new("test", "1");
    let meter = InstagramMeter::register(&mut registry);
    (Transport::new(limits, None, meter).unwrap(), registry)
}

async fn exchange(transport: &Transport, url: Url) -> Result<Value, InstagramErrorKind> {
    let request = transport.post(url).form(&[("code", "AQD1")]);
    transport.once(Endpoint::CodeExchange, request).await.map_err(|error| error.kind)
}

async fn closed_port() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap()
}

#[tokio::test]
async fn a_refused_connection_sends_nothing() {
    let answer = exchange(&transport(SHORT), closed_port().await).await;
    assert_eq!(answer, Err(NotSent));
}

#[tokio::test]
async fn a_name_that_leads_nowhere_sends_nothing() {
    // Longer than a label may be, so that no name server is asked.
    let url = format!("http://{}.invalid/", "a".repeat(80)).parse().unwrap();
    assert_eq!(exchange(&transport(SHORT), url).await, Err(NotSent));
}

#[rstest]
#[case::no_handshake(Peer::Stall(""))]
#[case::plain_http(Peer::Answer("HTTP/1.1 400 Bad Request\r\n\r\n"))]
#[case::closed(Peer::CloseUnread)]
#[tokio::test]
async fn a_tls_handshake_that_fails_sends_nothing(#[case] peer: Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        match peer {
            Peer::Answer(bytes) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Peer::Stall(_) => std::future::pending().await,
            _ => {}
        }
    });
    assert_eq!(exchange(&transport(SHORT), url).await, Err(NotSent));
}

#[rstest]
#[case::closed_unread(Peer::CloseUnread)]
#[case::reset_unread(Peer::ResetUnread)]
#[case::closed_after_the_request(Peer::CloseAfterRequest)]
#[case::reset_after_the_request(Peer::ResetAfterRequest)]
#[case::garbage(Peer::Answer("SSH-2.0-OpenSSH_9\r\n"))]
#[case::head_cut_off(Peer::Answer("HTTP/1.1 200 OK\r\ncontent-le"))]
#[case::body_cut_off(Peer::Answer(
    "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"access_token\":\"IG"
))]
#[case::error_cut_off(Peer::Answer("HTTP/1.1 500 Oops\r\ncontent-length: 99\r\n\r\n{\"error\":"))]
#[case::chunk_cut_off(Peer::Answer(
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a"
))]
#[case::no_answer(Peer::Stall(""))]
#[case::half_a_head(Peer::Stall("HTTP/1.1 200 OK\r\n"))]
#[case::half_a_body(Peer::Stall(
    "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"access_token\":"
))]
#[tokio::test]
async fn a_code_whose_answer_is_lost_counts_as_sent_and_is_sent_once(#[case] peer: Peer) {
    let (url, met) = serve(peer).await;
    assert_eq!(exchange(&transport(SHORT), url).await, Err(NoAnswer));
    assert_eq!(met.load(Ordering::SeqCst), 1);
}

#[rstest]
#[case::outage("HTTP/1.1 503 Oops\r\ncontent-length: 0\r\n\r\n", Unavailable)]
#[case::page("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>", Unreadable)]
#[tokio::test]
async fn a_code_is_sent_once_whatever_the_answer(
    #[case] bytes: &'static str,
    #[case] expected: InstagramErrorKind,
) {
    let (url, met) = serve(Peer::Answer(bytes)).await;
    assert_eq!(exchange(&transport(SHORT), url).await, Err(expected));
    assert_eq!(met.load(Ordering::SeqCst), 1);
}

#[rstest]
#[case::reset(Peer::ResetAfterRequest, NoAnswer)]
#[case::cut_off(Peer::Answer("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), NoAnswer)]
#[case::outage(
    Peer::Answer("HTTP/1.1 503 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
    Unavailable
)]
#[tokio::test]
async fn a_read_is_tried_three_times(#[case] peer: Peer, #[case] expected: InstagramErrorKind) {
    let (url, met) = serve(peer).await;
    let transport = transport(Limits::DEFAULT);
    let answer = transport.repeat(Endpoint::Profile, || transport.get(url.clone())).await;
    assert_eq!(answer, Err(expected.into()));
    assert_eq!(met.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_read_whose_first_tries_fail_succeeds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        for peer in [Peer::ResetUnread, Peer::CloseAfterRequest, Peer::Serve] {
            peer.meet(listener.accept().await.unwrap().0).await;
        }
    });
    let transport = transport(Limits::DEFAULT);
    let answer = transport.repeat(Endpoint::TokenRenewal, || transport.get(url.clone())).await;
    assert_eq!(answer, Ok(serde_json::json!({})));
}

#[tokio::test]
async fn a_call_ends_in_time_however_often_it_is_tried() {
    let (url, met) = serve(Peer::Stall("")).await;
    let transport = transport(SHORT);
    let started = Instant::now();
    let answer = transport.repeat(Endpoint::Profile, || transport.get(url.clone())).await;
    let elapsed = started.elapsed();
    assert_eq!(answer, Err(NoAnswer.into()));
    assert!(met.load(Ordering::SeqCst) >= 2, "the first try left time for a second one");
    assert!(elapsed < SHORT.call + Duration::from_millis(500), "{elapsed:?}");
}

#[tokio::test]
async fn a_connection_is_reused_for_reads_while_it_is_fresh() {
    let (url, met) = serve(Peer::Serve).await;
    let transport = transport(SHORT);
    for _ in 0..3 {
        transport.repeat(Endpoint::Profile, || transport.get(url.clone())).await.unwrap();
    }
    assert_eq!(met.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_idled_too_long_is_not_used_again() {
    let (url, met) = serve(Peer::Serve).await;
    let transport = transport(Limits { idle: Duration::from_nanos(1), ..SHORT });
    for _ in 0..2 {
        transport.repeat(Endpoint::Profile, || transport.get(url.clone())).await.unwrap();
    }
    assert_eq!(met.load(Ordering::SeqCst), 2);
}

#[rstest]
#[case::kept(Peer::Serve)]
#[case::closed_at_once(Peer::ServeOnce)]
#[case::closed_as_the_next_request_comes(Peer::ServeOnceThenReset)]
#[tokio::test]
async fn every_code_goes_out_on_a_connection_of_its_own(#[case] peer: Peer) {
    let (url, met) = serve(peer).await;
    let transport = transport(SHORT);
    for codes in 1..=3 {
        assert_eq!(exchange(&transport, url.clone()).await, Ok(serde_json::json!({})));
        assert_eq!(met.load(Ordering::SeqCst), codes);
    }
}

#[tokio::test]
async fn a_read_on_a_connection_that_is_just_closed_is_repeated_on_another() {
    let (url, met) = serve(Peer::ServeOnceThenReset).await;
    let transport = transport(SHORT);
    for _ in 0..2 {
        transport.repeat(Endpoint::Profile, || transport.get(url.clone())).await.unwrap();
    }
    assert_eq!(met.load(Ordering::SeqCst), 2);
}

#[rstest]
#[case::at_the_bound(MAX_BODY_BYTES, Ok(()))]
#[case::beyond_it(MAX_BODY_BYTES + 1, Err(Unreadable))]
#[tokio::test]
async fn a_body_is_read_up_to_its_bound(
    #[case] length: usize,
    #[case] expected: Result<(), InstagramErrorKind>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        let body = format!("{{}}{}", " ".repeat(length - 2));
        let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}");
        // The client hangs up once it has read enough.
        let _ = stream.write_all(answer.as_bytes()).await;
    });
    assert_eq!(exchange(&transport(Limits::DEFAULT), url).await.map(|_| ()), expected);
}

#[tokio::test]
async fn every_try_is_counted_by_how_it_ended() {
    let (transport, registry) = counted_transport(SHORT);
    let (url, _) = serve(Peer::CloseAfterRequest).await;
    let request = || transport.get(url.clone());
    transport.repeat(Endpoint::Profile, request).await.unwrap_err();
    for _ in 0..2 {
        let (url, _) = serve(Peer::Serve).await;
        exchange(&transport, url).await.unwrap();
    }
    let text = registry.text(TextFormat::OpenMetrics).unwrap();
    let requests = text.lines().filter(|line| line.starts_with("test_instagram_requests_total"));
    let counted: Vec<_> = requests.filter(|line| !line.ends_with(" 0")).collect();
    for expected in [
        "test_instagram_requests_total{endpoint=\"profile\",outcome=\"no_answer\"} 3",
        "test_instagram_requests_total{endpoint=\"code_exchange\",outcome=\"ok\"} 2",
    ] {
        assert!(counted.contains(&expected), "{expected} is not in {counted:#?}");
    }
    assert_eq!(counted.len(), 2, "{counted:#?}");
}
