//! How connections are taken and left, and what their requests carry.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use http::Response;
use ig_metrics::Registry;
use ig_test_support::callers::Everybody;
use ig_test_support::certificates::{self, Authority, Issued, Name};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Endpoint;
use tower::{Service, ServiceExt as _, service_fn};

use super::*;
use crate::meters::ServerMeters;
use crate::peer_names::PeerNames;
use crate::tls::TlsPem;

/// What an HTTP/2 client begins with: its preface and empty settings.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Connections for so many clients to `routes`, and their count.
fn connections(limit: usize, routes: Routes, tls: Option<CurrentTls>) -> (Connections, Gauge) {
    let meters = ServerMeters::register(&mut Registry::new("test", "1"));
    let open = meters.connections.clone();
    let calls = Calls::new(routes, Arc::new(Everybody), Arc::new(String::new), meters);
    (Connections::at_most(limit, calls, tls, open.clone()), open)
}

/// Takes connections on a free port.
async fn accept(connections: Connections) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { connections.accept(listener, std::future::pending()).await });
    address
}

#[tokio::test(start_paused = true)]
async fn a_connection_beyond_the_limit_waits_for_a_place() {
    let (connections, open) = connections(1, Routes::default(), None);
    let address = accept(connections).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(GREETING).await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(GREETING).await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(5), second.read_u8()).await;
    assert!(early.is_err(), "the only place is taken");
    assert_eq!(open.get(), 1);
    drop(first);
    second.read_u8().await.unwrap();
}

/// Answers with the names that its request carries.
#[derive(Clone)]
struct Mirror;

impl NamedService for Mirror {
    const NAME: &'static str = "mirror";
}

impl Service<Request<Body>> for Mirror {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut response = Response::new(Body::empty());
        if let Some(names) = request.extensions().get::<PeerNames>() {
            let names = names.iter().collect::<Vec<_>>().join(" ");
            response.headers_mut().insert("names", names.parse().unwrap());
        }
        std::future::ready(Ok(response))
    }
}

/// The names that come with a call of a client that shows this certificate.
async fn names_seen(
    server: &Issued,
    authority: &Authority,
    shown: Option<&Issued>,
) -> Option<String> {
    let pem = TlsPem {
        certificate: server.pem.as_bytes(),
        key: server.key.as_bytes(),
        client_ca: Some(authority.pem.as_bytes()),
    };
    let tls = Tls::from_pem(&pem).unwrap();
    let mut routes = Routes::builder();
    routes.add_service(Mirror);
    let current: CurrentTls = Arc::new(move || tls.clone());
    let (connections, _) = connections(1, routes.routes(), Some(current));
    let address = accept(connections).await;
    let config = certificates::client(authority, shown);
    let dial = service_fn(move |_| {
        let shaken = certificates::shake_hands(address, config.clone());
        async { shaken.await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(dial).await.unwrap();
    let request = Request::post("http://localhost/mirror/Look").body(Body::empty()).unwrap();
    let response = channel.oneshot(request).await.unwrap();
    let names = response.headers().get("names");
    names.map(|names| names.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn requests_carry_the_names_that_their_client_proved() {
    let authority = Authority::new();
    let server = authority.issue(&[Name::Dns("localhost")]);
    let named = authority.issue(&[Name::Dns("Publisher"), Name::Uri("spiffe://shop/publisher")]);
    let seen = names_seen(&server, &authority, Some(&named)).await;
    assert_eq!(seen.unwrap(), "publisher spiffe://shop/publisher");
    let nameless = authority.issue(&[]);
    assert_eq!(names_seen(&server, &authority, Some(&nameless)).await.unwrap(), "");
    assert_eq!(names_seen(&server, &authority, None).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_proof_lasts_an_hour_and_a_connection_without_one_stays() {
    let closing = CancellationToken::new();
    let begin = Instant::now();
    leave(closing.clone(), true).await;
    assert_eq!(begin.elapsed().as_secs(), 60 * 60);
    let day = Duration::from_hours(24);
    tokio::time::timeout(day, leave(closing.clone(), false)).await.unwrap_err();
    closing.cancel();
    leave(closing.clone(), true).await;
    leave(closing, false).await;
}
