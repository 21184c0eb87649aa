//! Accept and end of connections, and the extensions of their requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http::Response;
use ig_metrics::Registry;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use ig_test_support::callers::Everybody;
use ig_test_support::certificates::{self, Authority, Issued, Name};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tower::{Service, ServiceExt as _, service_fn};

use super::*;
use crate::calls::RequestIds;
use crate::meters::ServerMeters;
use crate::peer_names::PeerNames;
use crate::tls::TlsPem;

/// Preface and empty settings with which an HTTP/2 client begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Connections to `routes`, at most `limit` at once, and their gauge.
fn connections(
    limit: usize,
    routes: Routes,
    tls: Option<CurrentTls>,
) -> (Connections<Routes>, Gauge) {
    let (calls, open) = calls(routes, Arc::new(String::new));
    (Connections::at_most(limit, calls, tls, open.clone()), open)
}

/// Calls of `routes`, and the gauge of their connections.
fn calls(routes: Routes, request_ids: RequestIds) -> (Calls<Routes>, Gauge) {
    let meters = ServerMeters::register(&mut Registry::new("test", "1"));
    let open = meters.connections.clone();
    (Calls::new(routes, Arc::new(Everybody), request_ids, meters, Refusals::default()), open)
}

/// A call without a message.
fn grpc(uri: &str) -> Request<Body> {
    let request = Request::post(uri).header("content-type", "application/grpc");
    request.body(Body::empty()).unwrap()
}

/// Takes connections on a free port.
async fn accept(connections: Connections<Routes>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { connections.accept(listener, std::future::pending()).await });
    address
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_makes_room_for_one_beyond_the_limit() {
    let (connections, open) = connections(1, Routes::default(), None);
    let address = accept(connections).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(PREFACE).await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(PREFACE).await.unwrap();
    let served = tokio::time::timeout(Duration::from_secs(5), second.read_u8()).await;
    served.expect("it need not wait until the first one is given up").unwrap();
    assert_eq!(open.get(), 1);
    // Frames sent to it before, and then its end.
    first.read_to_end(&mut Vec::new()).await.unwrap();
}

/// Takes our calls, says so, and never answers.
#[derive(Clone, Default)]
struct Hanging(Arc<tokio::sync::Notify>);

impl NamedService for Hanging {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<Request<Body>> for Hanging {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Pending<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        self.0.notify_one();
        std::future::pending()
    }
}

#[tokio::test]
async fn a_connection_with_a_callers_call_stays_whoever_comes() {
    let hanging = Hanging::default();
    let mut routes = Routes::builder();
    routes.add_service(hanging.clone());
    let address = accept(connections(2, routes.routes(), None).0).await;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await;
    let request = grpc(&format!("http://{address}/{SERVICE_NAME}/Get"));
    let call = tokio::spawn(channel.unwrap().oneshot(request));
    hanging.0.notified().await;
    let mut former: Option<TcpStream> = None;
    for _ in 0..3 {
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(PREFACE).await.unwrap();
        next.read_u8().await.unwrap();
        if let Some(mut former) = former.replace(next) {
            former.read_to_end(&mut Vec::new()).await.unwrap();
        }
    }
    assert!(!call.is_finished());
}

#[tokio::test]
async fn a_panic_before_a_handler_ends_no_other_call_of_its_connection() {
    let hanging = Hanging::default();
    let mut routes = Routes::builder();
    routes.add_service(hanging.clone());
    let begun = AtomicUsize::new(0);
    let request_ids = Arc::new(move || {
        assert_ne!(begun.fetch_add(1, Ordering::Relaxed), 1, "the second call panics");
        String::new()
    });
    let (calls, open) = calls(routes.routes(), request_ids);
    let address = accept(Connections::at_most(2, calls, None, open)).await;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let call = || channel.clone().oneshot(grpc(&format!("http://{address}/{SERVICE_NAME}/Get")));
    let first = tokio::spawn(call());
    hanging.0.notified().await;
    call().await.unwrap_err();
    // Without its connection the channel would make another one for this call, and know by then that the first is lost.
    let _third = tokio::spawn(call());
    hanging.0.notified().await;
    assert!(!first.is_finished());
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
    let request = grpc("http://localhost/mirror/Look");
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
async fn a_proof_lasts_five_minutes_and_a_connection_without_one_stays() {
    let closing = CancellationToken::new();
    let lifetime =
        ConnectionLifetime { closing: closing.clone(), activity: Activities::default().enter() };
    let begin = Instant::now();
    let end = Some(CertificateEnd::of_a_handshake());
    lifetime.is_over(end).await;
    assert_eq!(begin.elapsed().as_secs(), 5 * 60);
    let day = Duration::from_hours(24);
    tokio::time::timeout(day, lifetime.is_over(None)).await.unwrap_err();
    closing.cancel();
    lifetime.is_over(Some(CertificateEnd::of_a_handshake())).await;
    lifetime.is_over(None).await;
}
