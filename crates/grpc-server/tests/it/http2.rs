//! The limits of HTTP/2, as seen by an innocent call that shares its connection with others, as behind a proxy.

use ig_domain::Role;
use ig_proto::v1;
use ig_test_support::callers::{Known, caller};
use rstest::rstest;

use crate::frames::{
    ACK, CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING,
    RST_STREAM, WINDOW_UPDATE, block, call, frame, list, list_by, reset, stream,
};
use crate::protocol::framed;
use crate::world::World;

/// The header block of trailers.
const TRAILERS: &[u8] = b"\0\x01a\x01b";

/// Maximum number of concurrent streams per connection.
const STREAMS: u32 = 256;

#[rstest]
#[case::a_few(50)]
#[case::as_many_as_a_proxy_passes_on(2_000)]
#[tokio::test]
async fn calls_that_are_cancelled_at_once_end_nobody_elses(#[case] count: u32) {
    let server = World::new().serve().await;
    let mut connection = Connection::open(&server).await;
    let message = framed(&v1::ListRequest::default());
    let cancelled = (0..count).map(stream).flat_map(|stream| {
        [call(stream, "List"), frame(DATA, 0, stream, &message), reset(stream)].concat()
    });
    let mut burst: Vec<_> = cancelled.collect();
    let innocent = stream(count);
    burst.extend(list(innocent));
    connection.send(&burst).await;
    assert!(connection.is_answered(innocent).await);
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_and_end_nobody_elses() {
    const REFUSED_STREAMS: u32 = 2_000;
    let server = World::new().serve().await;
    let mut connection = Connection::open(&server).await;
    let streams: Vec<_> = (0..STREAMS + REFUSED_STREAMS).map(stream).collect();
    for stream in &streams {
        connection.send(&call(*stream, "List")).await;
    }
    connection.read_until(RST_STREAM, REFUSED_STREAMS as usize).await;
    for stream in &streams[..STREAMS as usize] {
        connection.send(&reset(*stream)).await;
    }
    connection.serves(stream(STREAMS + REFUSED_STREAMS)).await;
}

#[tokio::test]
async fn requests_that_http_forbids_end_nobody_elses() {
    let server = World::new().serve().await;
    let mut connection = Connection::open(&server).await;
    let wrong = block("POST", "/<", &[]);
    let count = 2_000;
    for number in 0..count {
        connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &wrong)).await;
    }
    connection.read_until(RST_STREAM, count as usize).await;
    connection.serves(stream(count)).await;
}

#[rstest]
#[case::of_nobody("List", "wrong")]
#[case::not_grpc("List", "text/plain")]
#[case::of_no_service("/no.Service/Method", "root")]
#[tokio::test]
async fn what_still_comes_for_calls_that_are_answered_early_ends_nobody_elses(
    #[case] method: &str,
    #[case] sent: &str,
) {
    let mut world = World::new();
    world.callers = Known::of([caller("root", &[Role::Admin], "*")]);
    let server = world.serve().await;
    let mut connection = Connection::open(&server).await;
    let authorization = format!("Bearer {sent}");
    let content_type = if sent.contains('/') { sent } else { "application/grpc" };
    let fields = [("content-type", content_type), ("authorization", authorization.as_str())];
    let path = if method.contains('/') {
        method.to_owned()
    } else {
        format!("/instagram.accounts.v1.InstagramAccountService/{method}")
    };
    let early = block("POST", &path, &fields);
    let streams: Vec<_> = (0..STREAMS).map(stream).collect();
    for stream in &streams {
        connection.send(&frame(HEADERS, END_HEADERS, *stream, &early)).await;
    }
    connection.read_until(HEADERS, streams.len()).await;
    for stream in &streams {
        connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, *stream, TRAILERS)).await;
    }
    let last = stream(STREAMS);
    connection.send(&list_by("root", last)).await;
    assert!(connection.is_answered(last).await);
}

#[tokio::test]
async fn a_window_that_overflows_ends_its_own_call_only() {
    let server = World::new().serve().await;
    let mut connection = Connection::open(&server).await;
    let count = 1_200;
    for number in 0..count {
        let stream = stream(number);
        connection.send(&call(stream, "List")).await;
        connection.send(&frame(WINDOW_UPDATE, 0, stream, &i32::MAX.to_be_bytes())).await;
    }
    connection.serves(stream(count)).await;
}

#[tokio::test]
async fn messages_in_the_smallest_pieces_are_read() {
    let server = World::new().serve().await;
    let mut connection = Connection::open(&server).await;
    let request = v1::ListRequest { page_token: "x".repeat(40), ..v1::ListRequest::default() };
    let message = framed(&request);
    let mut pieces = Vec::new();
    for stream in (0..STREAMS - 1).map(stream) {
        pieces.extend(call(stream, "List"));
        pieces.extend(message.chunks(1).flat_map(|piece| frame(DATA, 0, stream, piece)));
    }
    connection.send(&pieces).await;
    connection.serves(stream(STREAMS)).await;
}

#[tokio::test]
async fn pings_are_answered_and_end_nobody_elses() {
    let server = World::new().serve().await;
    let mut connection = Connection::open(&server).await;
    let count = 10_000;
    connection.send(&frame(PING, 0, 0, &[7; 8]).repeat(count)).await;
    connection.send(&frame(PING, ACK, 0, &[7; 8]).repeat(count)).await;
    connection.read_until(PING, count).await;
    connection.serves(stream(0)).await;
}

#[rstest]
#[case::more_than_ours(20 * 1024)]
#[case::more_than_the_library_takes(70 * 1024)]
#[tokio::test]
async fn too_much_metadata_ends_its_own_call_only(#[case] size: usize) {
    let server = World::new().serve().await;
    let mut connection = Connection::open(&server).await;
    let value = "x".repeat(4 * 1024);
    let fields = vec![("x-large", value.as_str()); size / value.len()];
    let large = block("POST", "/instagram.accounts.v1.InstagramAccountService/List", &fields);
    let (first, rest) = large.split_at(16 * 1024);
    connection.send(&frame(HEADERS, END_STREAM, stream(0), first)).await;
    let mut rest: Vec<_> = rest.chunks(16 * 1024).collect();
    let last = rest.pop().unwrap();
    for part in rest {
        connection.send(&frame(CONTINUATION, 0, stream(0), part)).await;
    }
    connection.send(&frame(CONTINUATION, END_HEADERS, stream(0), last)).await;
    assert!(!connection.is_answered(stream(0)).await);
    connection.serves(stream(1)).await;
}

/// Limits that the library does not let us choose, and frames that a proxy does not pass on.
#[rstest]
#[case::empty_frames(frame(DATA, 0, stream(0), &[]).repeat(101), "too_many_data_frames")]
#[case::headers_without_end(frame(CONTINUATION, 0, stream(1), &[]).repeat(10), "too_many_continuations")]
#[tokio::test]
async fn what_only_an_attack_sends_ends_the_connection(
    #[case] frames: Vec<u8>,
    #[case] expected: &str,
) {
    let server = World::new().serve().await;
    let mut connection = Connection::open(&server).await;
    connection.send(&call(stream(0), "List")).await;
    if expected.contains("continuations") {
        connection.send(&frame(HEADERS, 0, stream(1), &[])).await;
    }
    connection.send(&frames).await;
    loop {
        let frame = connection.next().await;
        if frame.kind == GOAWAY {
            assert!(
                frame.payload.ends_with(expected.as_bytes()),
                "{}",
                frame.payload.escape_ascii()
            );
            return;
        }
    }
}
