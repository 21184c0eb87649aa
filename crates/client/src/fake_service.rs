//! A service within the test's own runtime, reached without a network, so that time may be paused.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use hyper_util::rt::TokioIo;
use ig_proto::v1;
use ig_proto::v1::instagram_account_service_server::{
    InstagramAccountService, InstagramAccountServiceServer,
};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::service_fn;

use crate::client::AccountsClient;
use crate::credentials::Credentials;

/// Bytes that wait between client and service.
const BUFFER: usize = 64 * 1024;

/// A call as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) rpc: &'static str,
    pub(crate) time: Instant,
    pub(crate) metadata: MetadataMap,
}

/// What the service answers to a call, whose number among the calls of its RPC is given too, from 0 on.
type Handler<Q, A> = Box<dyn Fn(usize, Q) -> BoxFuture<'static, Result<A, Status>> + Send + Sync>;

/// Messages of a stream.
pub(crate) type Messages = BoxStream<'static, Result<v1::WatchResponse, Status>>;

#[derive(Default)]
struct Handlers {
    get: Option<Handler<v1::GetRequest, v1::GetResponse>>,
    refresh: Option<Handler<v1::RefreshRequest, v1::RefreshResponse>>,
    fetch: Option<Handler<v1::FetchAccessTokenRequest, v1::FetchAccessTokenResponse>>,
    watch: Option<Handler<v1::WatchRequest, Messages>>,
    commit: Option<Handler<v1::CommitWatchRequest, v1::CommitWatchResponse>>,
}

/// A service that answers as it is told.
#[derive(Clone, Default)]
pub(crate) struct FakeService {
    handlers: Arc<Handlers>,
    calls: Arc<Mutex<Vec<Call>>>,
}

macro_rules! handlers {
    ($($on:ident: $handler:ident($request:ident) -> $answer:ty;)+) => {
        impl FakeService {
            $(
                pub(crate) fn $on<F>(
                    mut self,
                    handler: impl Fn(usize, v1::$request) -> F + Send + Sync + 'static,
                ) -> Self
                where
                    F: Future<Output = Result<$answer, Status>> + Send + 'static,
                {
                    let handlers = Arc::get_mut(&mut self.handlers).expect("before it runs");
                    handlers.$handler =
                        Some(Box::new(move |number, request| handler(number, request).boxed()));
                    self
                }
            )+
        }
    };
}

handlers! {
    on_get: get(GetRequest) -> v1::GetResponse;
    on_refresh: refresh(RefreshRequest) -> v1::RefreshResponse;
    on_fetch: fetch(FetchAccessTokenRequest) -> v1::FetchAccessTokenResponse;
    on_watch: watch(WatchRequest) -> Messages;
    on_commit: commit(CommitWatchRequest) -> v1::CommitWatchResponse;
}

impl FakeService {
    /// A client of it, which is nobody in particular.
    pub(crate) fn client(&self) -> AccountsClient {
        self.client_with(Credentials::WithoutBearer)
    }

    pub(crate) fn client_with(&self, credentials: Credentials) -> AccountsClient {
        let service = self.clone();
        let dial = move || {
            let service = service.clone();
            let connector = service_fn(move |_| {
                let (ours, theirs) = tokio::io::duplex(BUFFER);
                let service = InstagramAccountServiceServer::new(service.clone());
                let incoming = tokio_stream::once(Ok::<_, std::io::Error>(theirs));
                let serving = Server::builder().add_service(service).serve_with_incoming(incoming);
                drop(tokio::spawn(serving));
                async { Ok::<_, std::io::Error>(TokioIo::new(ours)) }
            });
            Endpoint::from_static("http://fake").connect_with_connector_lazy(connector)
        };
        AccountsClient::dialling(dial, credentials)
    }

    /// The calls of this RPC so far.
    pub(crate) fn calls(&self, rpc: &str) -> Vec<Call> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.rpc == rpc).cloned().collect()
    }

    /// Answers a call, which is kept.
    async fn answer<Q, A>(
        &self,
        rpc: &'static str,
        handler: Option<&Handler<Q, A>>,
        request: Request<Q>,
    ) -> Result<Response<A>, Status> {
        let metadata = request.metadata().clone();
        let number = self.calls(rpc).len();
        self.calls.lock().unwrap().push(Call { rpc, time: Instant::now(), metadata });
        let handler = handler.expect("the test expects no such call");
        handler(number, request.into_inner()).await.map(Response::new)
    }
}

/// A refusal of the service, with a delay to wait.
pub(crate) fn refused(code: Code, reason: &str, retry_seconds: Option<u64>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, "instagram.accounts", []);
    if let Some(seconds) = retry_seconds {
        details.set_retry_info(Some(std::time::Duration::from_secs(seconds)));
    }
    Status::with_error_details(code, "refused", details)
}

#[tonic::async_trait]
impl InstagramAccountService for FakeService {
    type WatchStream = Messages;

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        self.answer("Get", self.handlers.get.as_ref(), request).await
    }

    async fn refresh(
        &self,
        request: Request<v1::RefreshRequest>,
    ) -> Result<Response<v1::RefreshResponse>, Status> {
        self.answer("Refresh", self.handlers.refresh.as_ref(), request).await
    }

    async fn fetch_access_token(
        &self,
        request: Request<v1::FetchAccessTokenRequest>,
    ) -> Result<Response<v1::FetchAccessTokenResponse>, Status> {
        self.answer("FetchAccessToken", self.handlers.fetch.as_ref(), request).await
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.answer("Watch", self.handlers.watch.as_ref(), request).await
    }

    async fn commit_watch(
        &self,
        request: Request<v1::CommitWatchRequest>,
    ) -> Result<Response<v1::CommitWatchResponse>, Status> {
        self.answer("CommitWatch", self.handlers.commit.as_ref(), request).await
    }

    async fn begin_link(
        &self,
        _: Request<v1::BeginLinkRequest>,
    ) -> Result<Response<v1::BeginLinkResponse>, Status> {
        unreachable!("no test calls it")
    }

    async fn link(
        &self,
        _: Request<v1::LinkRequest>,
    ) -> Result<Response<v1::LinkResponse>, Status> {
        unreachable!("no test calls it")
    }

    async fn batch_get(
        &self,
        _: Request<v1::BatchGetRequest>,
    ) -> Result<Response<v1::BatchGetResponse>, Status> {
        unreachable!("no test calls it")
    }

    async fn list(
        &self,
        _: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        unreachable!("no test calls it")
    }

    async fn unlink(
        &self,
        _: Request<v1::UnlinkRequest>,
    ) -> Result<Response<v1::UnlinkResponse>, Status> {
        unreachable!("no test calls it")
    }

    async fn import(
        &self,
        _: Request<v1::ImportRequest>,
    ) -> Result<Response<v1::ImportResponse>, Status> {
        unreachable!("no test calls it")
    }
}
