//! Limits of a client.

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::time::Duration;

use ig_domain::{Caller, Role};
use ig_proto::v1;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use ig_test_support::callers::{Known, caller};
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::frames::{
    Connection, DATA, END_STREAM, NO_WINDOW, RST_STREAM, WINDOW_UPDATE, call, frame, list_by,
    stream,
};
use crate::protocol::framed;
use crate::two_owners::by;
use crate::world::{Server, World, assert_refused, bad_fields, retry_delay};

#[tokio::test]
async fn a_message_beyond_64_kib_gets_the_transports_own_status() {
    let mut client = World::new().client().await;
    let request =
        v1::ListRequest { page_token: "x".repeat(64 * 1024), ..v1::ListRequest::default() };
    let status = client.list(request).await.unwrap_err();
    assert_eq!((status.code(), status.details()), (Code::OutOfRange, [].as_slice()));
    client.list(v1::ListRequest::default()).await.unwrap();
}

/// Below what the library refuses by itself, and above.
#[rstest]
#[case::just_enough(16 * 1024 - 512, None)]
#[case::too_much(16 * 1024, Some(Code::InvalidArgument))]
#[tokio::test]
async fn metadata_beyond_16_kib_is_refused(#[case] size: usize, #[case] expected: Option<Code>) {
    let mut client = World::new().client().await;
    let mut request = Request::new(v1::ListRequest::default());
    request.metadata_mut().insert("x-large", "x".repeat(size).parse().unwrap());
    let answer = client.list(request).await;
    assert_eq!(answer.as_ref().err().map(Status::code), expected, "{answer:?}");
    if let Err(status) = answer {
        let details = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELD", &[]);
        assert_eq!(bad_fields(&details), ["metadata"]);
    }
    client.list(v1::ListRequest::default()).await.unwrap();
}

#[rstest]
#[case::nothing(b"".as_slice())]
#[case::half_a_preface(b"PRI * HTTP")]
#[tokio::test(start_paused = true)]
async fn a_client_that_makes_no_handshake_is_dropped(#[case] preface: &[u8]) {
    let server = World::new().serve().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(preface).await.unwrap();
    assert!(matches!(
        stream.read_u8().await.map_err(|error| error.kind()),
        Err(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)
    ));
}

#[rstest]
#[case::http_1(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")]
#[case::tls(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")]
#[case::nearly_the_preface(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")]
#[case::a_first_frame_beyond_all_limits(
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x04\0\0\0\0\0"
)]
#[tokio::test]
async fn a_client_of_another_protocol_is_turned_away(#[case] sent: &[u8]) {
    let server = World::new().serve().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // Whether the server resets or closes, it ends here and says nothing of a service.
    let _reset_or_closed = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1"), "{}", answer.escape_ascii());
    server.client().await.list(v1::ListRequest::default()).await.unwrap();
}

/// Opens watches of health on one connection until one is refused, and counts the open ones.
async fn watches(server: &Server) -> (usize, Vec<Streaming<HealthCheckResponse>>) {
    let mut client = HealthClient::new(server.channel().await);
    let mut open = Vec::new();
    loop {
        match client.watch(HealthCheckRequest::default()).await {
            Ok(stream) => open.push(stream.into_inner()),
            Err(status) => {
                let details = assert_refused(&status, Code::ResourceExhausted, "OVERLOADED", &[]);
                assert_eq!(retry_delay(&details), Some(Duration::from_secs(1)));
                return (open.len(), open);
            }
        }
    }
}

#[tokio::test]
async fn streams_that_need_no_caller_are_bounded_per_connection_and_in_all() {
    let server = World::new().serve().await;
    let mut open = Vec::new();
    let mut counts = Vec::new();
    while counts.last() != Some(&0) {
        let (count, streams) = watches(&server).await;
        counts.push(count);
        open.extend(streams);
    }
    assert_eq!(counts, [vec![32; 32], vec![0]].concat());
    // Calls that are answered at once have room all the same, and so have calls of callers.
    let channel = server.channel().await;
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    let list = v1::ListRequest::default();
    InstagramAccountServiceClient::new(channel).list(list).await.unwrap();
    open.clear();
    let mut client = HealthClient::new(server.channel().await);
    while client.watch(HealthCheckRequest::default()).await.is_err() {}
}

/// Behind a proxy, somebody else's open streams are on the same connection. Nothing but the head of the first calls
/// comes, so they stay under way.
#[rstest]
#[case::watches("Watch", "Check")]
#[case::checks("Check", "Watch")]
#[tokio::test]
async fn streams_and_checks_on_one_connection_take_no_room_from_one_another(
    #[case] many: &str,
    #[case] one: &str,
) {
    let server = World::new().serve().await;
    let mut connection = Connection::open(&server).await;
    for stream in (0..32).map(stream) {
        connection.send(&call(stream, &format!("/grpc.health.v1.Health/{many}"))).await;
    }
    connection.send(&health(stream(32), many)).await;
    assert!(!connection.is_answered(stream(32)).await, "more than there is room for");
    connection.send(&health(stream(33), one)).await;
    assert!(connection.is_answered(stream(33)).await, "another kind has no room");
}

/// The frames of a whole call of the health service.
fn health(stream: u32, method: &str) -> Vec<u8> {
    let message = framed(&HealthCheckRequest::default());
    let head = call(stream, &format!("/grpc.health.v1.Health/{method}"));
    [head, frame(DATA, END_STREAM, stream, &message)].concat()
}

/// The half of a message, and what is answered then.
#[rstest]
#[case::of_a_caller("List", 30)]
#[case::of_nobody("/grpc.health.v1.Health/Check", 10)]
#[tokio::test(start_paused = true)]
async fn half_a_message_is_not_waited_for_longer_than_a_call_may_take(
    #[case] method: &str,
    #[case] seconds: u64,
) {
    let server = World::new().serve().await;
    let mut connection = Connection::open(&server).await;
    let start = Instant::now();
    let half = [call(stream(0), method), frame(DATA, 0, stream(0), &[0, 0, 0])].concat();
    connection.send(&half).await;
    assert!(!connection.is_answered(stream(0)).await);
    assert_eq!(start.elapsed().as_secs(), seconds);
    connection.serves(stream(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_is_given_up_after_a_minute() {
    let mut world = World::new();
    let narrow = caller("narrow", &[Role::Admin], "*");
    world.callers = Known::of([Caller { max_in_flight: NonZeroU32::new(1), ..narrow }]);
    let server = world.serve().await;
    let mut connection = Connection::open(&server).await;
    connection.send(NO_WINDOW).await;
    let start = Instant::now();
    connection.send(&list_by("narrow", stream(0))).await;
    assert!(!connection.is_answered(stream(0)).await);
    assert_eq!(start.elapsed().as_secs(), 60);
    // Its place is free again.
    connection.send(&frame(WINDOW_UPDATE, 0, stream(1), &[0, 0, 1, 0])).await;
    let again = server.client().await.list(by("narrow", v1::ListRequest::default())).await;
    again.unwrap();
}

/// Size of what a client may send on a stream before it knows of the server's settings, in bytes.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc9113#section-6.9.2>.
const INITIAL_WINDOW: usize = 65_535;

#[tokio::test]
async fn streams_whose_answers_are_not_taken_leave_room_for_others() {
    let server = World::new().serve().await;
    let mut connection = Connection::open(&server).await;
    connection.send(NO_WINDOW).await;
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let request = framed(&request);
    let window: Vec<_> = request.iter().copied().cycle().take(INITIAL_WINDOW).collect();
    for stream in (0..32).map(stream) {
        let method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        connection.send(&call(stream, method)).await;
        for part in window.chunks(16 * 1024) {
            connection.send(&frame(DATA, 0, stream, part)).await;
        }
    }
    let innocent = stream(32);
    connection.send(&call(innocent, "List")).await;
    connection.send(&frame(WINDOW_UPDATE, 0, innocent, &[0, 0, 1, 0])).await;
    connection.send(&frame(DATA, END_STREAM, innocent, &framed(&v1::ListRequest::default()))).await;
    assert!(connection.is_answered(innocent).await);
    assert_eq!(connection.arrived.get(&RST_STREAM), None);
}
