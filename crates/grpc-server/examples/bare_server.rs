//! The floors of `cargo xtask bench`: plain tonic servers that answer every call with the same account.
//!
//! `bare_server WAY LISTEN UPSTREAM TOKEN [CERTIFICATE KEY]` asks the service at `UPSTREAM` once, as the caller with that
//! token, for the account whose professional account id is 1. `WAY` is `default`, as tonic serves by itself, or `tuned`,
//! nearly as this service does: on a single-threaded runtime for each core, over streams without vectored writes. With a
//! certificate and its key, both in PEM, it serves by TLS.
#![expect(clippy::unwrap_used, reason = "whoever starts a benchmark reads its panics")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fs, thread};

use http::{Request, Response};
use ig_proto::v1::get_request::Key;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use ig_proto::v1::{GetRequest, GetResponse};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::Connected;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic_prost::ProstCodec;
use tower::Service;

/// A certificate and its key, in PEM.
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

fn main() {
    // Without one, the spans of HTTP/2 go to another log, even if nobody reads that.
    tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new()).unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [way, listen, upstream, token, pair @ ..] = arguments.as_slice() else {
        panic!("too few arguments")
    };
    let pair = match pair {
        [] => None,
        [certificate, key] => {
            Some(Pair { certificate: fs::read(certificate).unwrap(), key: fs::read(key).unwrap() })
        }
        _ => panic!("a certificate goes with its key"),
    };
    let listen = listen.parse().unwrap();
    let runtime = Runtime::new().unwrap();
    let service = FromMemory(runtime.block_on(ask(upstream.clone(), token)));
    match way.as_str() {
        "default" => runtime.block_on(serve_default(listen, service, pair)),
        "tuned" => serve_tuned(listen, &service, pair),
        _ => panic!("{way} is no way to serve"),
    }
}

async fn serve_default(listen: SocketAddr, service: FromMemory, pair: Option<Pair>) {
    let mut server = Server::builder();
    if let Some(Pair { certificate, key }) = pair {
        let identity = Identity::from_pem(certificate, key);
        server = server.tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
    }
    server.add_service(service).serve(listen).await.unwrap();
}

/// The answer of the service for the account.
async fn ask(upstream: String, token: &str) -> GetResponse {
    let mut client = InstagramAccountServiceClient::connect(upstream).await.unwrap();
    let key = Some(Key::InstagramId("1".to_owned()));
    let mut request = tonic::Request::new(GetRequest { key, owner: None });
    let authorization = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", authorization);
    client.get(request).await.unwrap().into_inner()
}

/// Hands the connections round to a runtime for each core.
fn serve_tuned(listen: SocketAddr, service: &FromMemory, pair: Option<Pair>) {
    let tls = pair.map(|pair| pair.acceptor());
    let cores = thread::available_parallelism().unwrap().get();
    let cores: Vec<_> = (0..cores).map(|_| serve_on_a_core(service.clone(), tls.clone())).collect();
    let listener = net::TcpListener::bind(listen).unwrap();
    for core in cores.iter().cycle() {
        core.send(listener.accept().unwrap().0).unwrap();
    }
}

impl Pair {
    fn acceptor(&self) -> TlsAcceptor {
        let certificate = CertificateDer::from_pem_slice(&self.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&self.key).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let mut config = config.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Serves connections that are sent to it, on a thread of its own.
fn serve_on_a_core(
    service: FromMemory,
    tls: Option<TlsAcceptor>,
) -> mpsc::UnboundedSender<net::TcpStream> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let accepted = UnboundedReceiverStream::new(receiver).map(of_this_runtime);
        let mut server = Server::builder();
        let server = server.add_service(service);
        match tls {
            None => {
                let streams = accepted.map(|stream| stream.map(Gathering));
                runtime.block_on(server.serve_with_incoming(streams))
            }
            Some(tls) => {
                let streams = accepted.then(move |stream| {
                    let tls = tls.clone();
                    async move { Ok::<_, io::Error>(Gathering(tls.accept(stream?).await?)) }
                });
                runtime.block_on(server.serve_with_incoming(streams))
            }
        }
    });
    sender
}

fn of_this_runtime(stream: net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

/// A stream without vectored writes, be it TCP's or TLS's.
struct Gathering<S>(S);

impl<S> Connected for Gathering<S> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // By `writev`, which the system counts for each process, unlike `send`.
        Pin::new(&mut self.0).poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Method as generated code would make it; it clones its answer.
#[derive(Clone)]
struct FromMemory(GetResponse);

impl NamedService for FromMemory {
    const NAME: &'static str = SERVICE_NAME;
}

impl UnaryService<GetRequest> for FromMemory {
    type Response = GetResponse;
    type Future = Ready<Result<tonic::Response<GetResponse>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<GetRequest>) -> Self::Future {
        ready(Ok(tonic::Response::new(self.0.clone())))
    }
}

impl Service<Request<Body>> for FromMemory {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(method, request).await) })
    }
}
