//! Connections over TLS: who gets one, and with which certificate.

use std::sync::{Arc, Mutex};

use hyper_util::rt::TokioIo;
use ig_grpc_server::{Tls, TlsPem};
use ig_proto::v1;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use ig_test_support::certificates::{self, Authority, Issued, Name, shake_hands};
use rstest::rstest;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::{self, Endpoint};
use tower::service_fn;

use crate::watch::end;
use crate::world::{Server, TonicClient, World, assert_refused};

/// A server's certificate by this authority.
pub(crate) fn localhost(authority: &Authority) -> Issued {
    authority.issue(&[Name::Dns("localhost")])
}

/// TLS with this certificate, and for clients of this authority.
pub(crate) fn tls(shown: &Issued, clients: Option<&Authority>) -> Tls {
    let client_ca = clients.map(|authority| authority.pem.as_bytes());
    let pem = TlsPem { certificate: shown.pem.as_bytes(), key: shown.key.as_bytes(), client_ca };
    Tls::from_pem(&pem).unwrap()
}

/// Serves with this TLS.
pub(crate) async fn serve(tls: Tls) -> Server {
    World { tls: Some(Arc::new(move || tls.clone())), ..World::new() }.serve().await
}

/// A server whose TLS can be replaced.
async fn serve_replaceable(tls: Tls) -> (Server, Arc<Mutex<Tls>>) {
    let current = Arc::new(Mutex::new(tls));
    let given = Arc::clone(&current);
    let world =
        World { tls: Some(Arc::new(move || given.lock().unwrap().clone())), ..World::new() };
    (world.serve().await, current)
}

async fn client(server: &Server, config: ClientConfig) -> Result<TonicClient, transport::Error> {
    let address = server.address;
    let dial = service_fn(move |_| {
        let shaken = shake_hands(address, config.clone());
        async { shaken.await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(dial).await?;
    Ok(InstagramAccountServiceClient::new(channel))
}

/// Error of a client that makes the handshake and then only listens.
pub(crate) async fn goodbye(server: &Server, config: ClientConfig) -> String {
    let said = match shake_hands(server.address, config).await {
        Ok(mut stream) => stream.read_u8().await.map(drop),
        Err(error) => Err(error),
    };
    said.expect_err("the server was to refuse").to_string()
}

async fn is_served(server: &Server, config: ClientConfig) {
    let mut client = client(server, config).await.unwrap();
    client.list(v1::ListRequest::default()).await.unwrap();
}

#[rstest]
#[case::tls_1_3(&TLS13)]
#[case::tls_1_2(&TLS12)]
#[tokio::test]
async fn both_versions_are_spoken(#[case] version: &'static SupportedProtocolVersion) {
    let authority = Authority::new();
    let server = serve(tls(&localhost(&authority), None)).await;
    let builder = ClientConfig::builder_with_protocol_versions(&[version]);
    let config = builder.with_root_certificates(authority.roots()).with_no_client_auth();
    is_served(&server, config).await;
}

#[rstest]
#[case::tls_1_3(&TLS13)]
#[case::tls_1_2(&TLS12)]
#[tokio::test]
async fn a_client_that_comes_again_has_to_prove_itself_again(
    #[case] version: &'static SupportedProtocolVersion,
) {
    let authority = Authority::new();
    let server = serve(tls(&localhost(&authority), None)).await;
    let builder = ClientConfig::builder_with_protocol_versions(&[version]);
    // Its clones share what they remember of sessions.
    let config = builder.with_root_certificates(authority.roots()).with_no_client_auth();
    is_served(&server, config.clone()).await;
    let stream = shake_hands(server.address, config).await.unwrap();
    let (_, session) = stream.get_ref();
    let full = [HandshakeKind::Full, HandshakeKind::FullWithHelloRetryRequest];
    assert!(full.contains(&session.handshake_kind().unwrap()), "{:?}", session.handshake_kind());
}

#[tokio::test]
async fn a_client_may_come_with_a_good_certificate_or_with_none() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = serve(tls(&localhost(&authority), Some(&clients))).await;
    let publisher = clients.issue(&[Name::Dns("publisher")]);
    is_served(&server, certificates::client(&authority, Some(&publisher))).await;
    is_served(&server, certificates::client(&authority, None)).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_refused_in_the_handshake() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = serve(tls(&localhost(&authority), Some(&clients))).await;
    let names = [Name::Dns("publisher")];
    let foreign = certificates::client(&authority, Some(&authority.issue(&names)));
    let said = goodbye(&server, foreign).await;
    assert!(said.contains("UnknownCA"), "{said}");
    let expired = certificates::client(&authority, Some(&clients.issue_expired(&names)));
    let said = goodbye(&server, expired).await;
    assert!(said.contains("CertificateExpired"), "{said}");
    is_served(&server, certificates::client(&authority, None)).await;
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_leaves_and_harms_nobody() {
    let authority = Authority::new();
    let server = serve(tls(&localhost(&authority), None)).await;
    let other = certificates::client(&Authority::new(), None);
    let error = shake_hands(server.address, other).await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    is_served(&server, certificates::client(&authority, None)).await;
}

#[tokio::test]
async fn a_client_of_another_protocol_is_turned_away_in_the_handshake() {
    let authority = Authority::new();
    let server = serve(tls(&localhost(&authority), None)).await;
    let mut config = certificates::client(&authority, None);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let said = goodbye(&server, config).await;
    assert!(said.contains("NoApplicationProtocol"), "{said}");
}

#[tokio::test]
async fn a_client_without_tls_is_turned_away() {
    let authority = Authority::new();
    let server = serve(tls(&localhost(&authority), None)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut answer = Vec::new();
    // Whether the server resets or closes, it ends here and says nothing in the clear.
    let _reset_or_closed = stream.read_to_end(&mut answer).await;
    // An alert: its type, the version's two bytes, its length.
    assert!(answer.is_empty() || answer.starts_with(&[21, 3]), "{answer:?}");
    is_served(&server, certificates::client(&authority, None)).await;
}

/// Beginning of a handshake: a record of 256 bytes, of which nothing comes.
const HALF_A_HANDSHAKE: [u8; 5] = [22, 3, 1, 1, 0];

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_end_is_dropped() {
    let server = serve(tls(&localhost(&Authority::new()), None)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&HALF_A_HANDSHAKE).await.unwrap();
    assert!(stream.read_u8().await.is_err());
}

#[tokio::test]
async fn a_handshake_that_does_not_end_holds_up_neither_others_nor_a_stop() {
    let authority = Authority::new();
    let server = serve(tls(&localhost(&authority), None)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&HALF_A_HANDSHAKE).await.unwrap();
    is_served(&server, certificates::client(&authority, None)).await;
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn new_connections_take_what_is_current_while_open_ones_go_on() {
    let (former, later) = (Authority::new(), Authority::new());
    let publisher = former.issue(&[Name::Dns("publisher")]);
    let first = tls(&localhost(&former), Some(&former));
    let (server, current) = serve_replaceable(first).await;
    let of_former = certificates::client(&former, Some(&publisher));
    let mut open = client(&server, of_former.clone()).await.unwrap();
    open.list(v1::ListRequest::default()).await.unwrap();

    // Another certificate, by another authority.
    *current.lock().unwrap() = tls(&localhost(&later), Some(&former));
    let error = shake_hands(server.address, of_former).await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let of_later = certificates::client(&later, Some(&publisher));
    is_served(&server, of_later.clone()).await;

    // Clients of the former authority are no longer taken.
    *current.lock().unwrap() = tls(&localhost(&later), Some(&later));
    let said = goodbye(&server, of_later).await;
    assert!(said.contains("UnknownCA"), "{said}");
    open.list(v1::ListRequest::default()).await.unwrap();
}

/// It may have expired since, or its authority be dropped; a stream would keep the connection for ever.
#[tokio::test]
async fn a_stream_ends_once_its_clients_certificate_was_shown_five_minutes_ago() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = serve(tls(&localhost(&authority), Some(&clients))).await;
    let publisher = clients.issue(&[Name::Dns("publisher")]);
    let publisher = certificates::client(&authority, Some(&publisher));
    let mut client = client(&server, publisher).await.unwrap();
    let begin = Instant::now();
    let mut stream = client.watch(v1::WatchRequest::default()).await.unwrap().into_inner();
    tokio::time::pause();
    let status = end(&mut stream).await;
    assert_refused(&status, Code::Unavailable, "SHUTTING_DOWN", &[]);
    assert!((300..=315).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}
