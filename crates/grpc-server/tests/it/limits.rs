//! What a client may not do.

use std::io::ErrorKind;

use ig_proto::v1;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::{Code, Request, Status};

use crate::world::{World, assert_refused, bad_fields};

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
#[case::half_a_greeting(b"PRI * HTTP")]
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_greet_is_dropped(#[case] greeting: &[u8]) {
    let server = World::new().serve().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(greeting).await.unwrap();
    assert!(matches!(
        stream.read_u8().await.map_err(|error| error.kind()),
        Err(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)
    ));
}

#[tokio::test]
async fn a_client_of_another_protocol_is_turned_away() {
    let server = World::new().serve().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Whether the server resets or closes, it ends here and says nothing of a service.
    let _reset_or_closed = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}
