//! A service that answers those who follow events by a script, whatever they do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use ig_proto::v1::instagram_account_service_server::{
    InstagramAccountService, InstagramAccountServiceServer,
};
use ig_proto::v1::watch_request::From;
use ig_proto::v1::{
    BatchGetRequest, BatchGetResponse, BeginLinkRequest, BeginLinkResponse, CommitWatchRequest,
    CommitWatchResponse, Event, EventKind, FetchAccessTokenRequest, FetchAccessTokenResponse,
    GetRequest, GetResponse, ImportRequest, ImportResponse, InstagramAccount, LinkRequest,
    LinkResponse, ListRequest, ListResponse, RefreshRequest, RefreshResponse, UnlinkRequest,
    UnlinkResponse, WatchRequest, WatchResponse,
};
use tokio::task::JoinHandle;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Time after which the second stream's refusal asks to come again.
pub(super) const RETRY_DELAY: Duration = Duration::from_millis(700);

/// Number of a kind that nobody knows yet.
const UNKNOWN_KIND: i32 = 99;

/// A call, as far as the script depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `List`, of the page of this token.
    List(String),
    /// `Watch` of a consumer, after this cursor where one is given.
    Watch(String, Option<String>),
    /// `CommitWatch` of a consumer, with this cursor.
    Commit(String, String),
}

/// The running service.
pub(super) struct ScriptedService {
    pub(super) address: String,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

impl ScriptedService {
    pub(super) fn start() -> Self {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap().to_string();
        let script = Arc::new(Script::default());
        let service = InstagramAccountServiceServer::from_arc(Arc::clone(&script));
        let serving = Server::builder().add_service(service).serve_with_incoming(incoming);
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, script, task }
    }

    /// All calls so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.script.calls.lock().unwrap().iter().map(|noted| noted.call.clone()).collect()
    }

    /// Calls that have a deadline where they should have none, or none where they should.
    pub(super) fn calls_of_wrong_deadline(&self) -> Vec<Call> {
        let calls = self.script.calls.lock().unwrap();
        let is_stream = |noted: &Noted| matches!(noted.call, Call::Watch(..));
        let wrong = calls.iter().filter(|noted| noted.has_deadline == is_stream(noted));
        wrong.map(|noted| noted.call.clone()).collect()
    }

    /// Times from each stream to the next one.
    pub(super) fn pauses(&self) -> Vec<Duration> {
        let calls = self.script.calls.lock().unwrap();
        let streams = calls.iter().filter(|noted| matches!(noted.call, Call::Watch(..)));
        let times: Vec<_> = streams.map(|noted| noted.time).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

impl Drop for ScriptedService {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The calls so far; the answers follow from their number.
#[derive(Default)]
struct Script {
    calls: Mutex<Vec<Noted>>,
}

/// A call that was made.
struct Noted {
    time: Instant,
    call: Call,
    has_deadline: bool,
}

impl Script {
    /// Notes a call with this metadata; returns how many of its RPC came before.
    fn note(&self, call: Call, metadata: &MetadataMap) -> usize {
        let mut calls = self.calls.lock().unwrap();
        let rpc = std::mem::discriminant(&call);
        let is_alike = |noted: &&Noted| std::mem::discriminant(&noted.call) == rpc;
        let before = calls.iter().filter(is_alike).count();
        let has_deadline = metadata.contains_key("grpc-timeout");
        calls.push(Noted { time: Instant::now(), call, has_deadline });
        before
    }
}

/// Answers RPCs that nobody calls here.
macro_rules! not_called {
    ($($rpc:ident($request:ty) -> $answer:ty;)*) => {
        $(
            fn $rpc<'service, 'call>(
                &'service self,
                _: Request<$request>,
            ) -> BoxFuture<'call, Result<Response<$answer>, Status>>
            where
                'service: 'call,
                Self: 'call,
            {
                Box::pin(async { Err(Status::unimplemented("the script has no such call")) })
            }
        )*
    };
}

#[tonic::async_trait]
impl InstagramAccountService for Script {
    type WatchStream = BoxStream<'static, Result<WatchResponse, Status>>;

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let (metadata, _, ListRequest { page_token, .. }) = request.into_parts();
        let is_first = page_token.is_empty();
        let before = self.note(Call::List(page_token), &metadata);
        let page = if is_first {
            let watch_cursor = format!("listed-{}", before / 2 + 1);
            let next_page_token = "second".to_owned();
            ListResponse { accounts: vec![account("one", 3)], next_page_token, watch_cursor }
        } else {
            ListResponse { accounts: vec![account("two", 1)], ..Default::default() }
        };
        Ok(Response::new(page))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (metadata, _, WatchRequest { consumer, from, .. }) = request.into_parts();
        let after = from.map(|from| match from {
            From::After(cursor) => cursor,
            other => format!("{other:?}"),
        });
        let denied = refused(Code::PermissionDenied, "PERMISSION_DENIED", None);
        let linked = event("e1", EventKind::Linked.into(), "one", 4);
        let unknown = event("e0", UNKNOWN_KIND, "one", 4);
        let changed = event("e2", EventKind::Changed.into(), "one", 5);
        let unlinked = event("e3", EventKind::Unlinked.into(), "two", 2);
        // As while another instance holds the consumer.
        let waits = WatchResponse::default();
        let stopping = refused(Code::Unavailable, "SHUTTING_DOWN", Some(RETRY_DELAY));
        let messages = match self.note(Call::Watch(consumer, after), &metadata) {
            0 => return Err(expired()),
            1 => vec![Ok(waits), Err(stopping)],
            2 => vec![Ok(message("done-1", vec![linked, unknown]))],
            3 => vec![Ok(message("done-2", vec![linked, changed])), Err(expired())],
            4 => vec![Ok(message("done-3", vec![unlinked])), Err(denied)],
            _ => return Err(denied),
        };
        Ok(Response::new(stream::iter(messages).boxed()))
    }

    async fn commit_watch(
        &self,
        request: Request<CommitWatchRequest>,
    ) -> Result<Response<CommitWatchResponse>, Status> {
        let (metadata, _, CommitWatchRequest { consumer, cursor }) = request.into_parts();
        match self.note(Call::Commit(consumer, cursor), &metadata) {
            0 => Err(refused(Code::Internal, "INTERNAL", None)),
            1 => {
                Err(refused(Code::ResourceExhausted, "OVERLOADED", Some(Duration::from_millis(1))))
            }
            _ => Ok(Response::new(CommitWatchResponse {})),
        }
    }

    not_called! {
        begin_link(BeginLinkRequest) -> BeginLinkResponse;
        link(LinkRequest) -> LinkResponse;
        get(GetRequest) -> GetResponse;
        batch_get(BatchGetRequest) -> BatchGetResponse;
        refresh(RefreshRequest) -> RefreshResponse;
        fetch_access_token(FetchAccessTokenRequest) -> FetchAccessTokenResponse;
        unlink(UnlinkRequest) -> UnlinkResponse;
        import(ImportRequest) -> ImportResponse;
    }
}

fn account(account_id: &str, revision: i64) -> InstagramAccount {
    InstagramAccount { account_id: account_id.to_owned(), revision, ..Default::default() }
}

fn event(event_id: &str, kind: i32, account_id: &str, revision: i64) -> Event {
    let [event_id, account_id] = [event_id, account_id].map(str::to_owned);
    Event { event_id, kind, account_id, revision, ..Default::default() }
}

fn message(cursor: &str, events: Vec<Event>) -> WatchResponse {
    WatchResponse { events, cursor: cursor.to_owned(), ..Default::default() }
}

fn expired() -> Status {
    refused(Code::OutOfRange, "CURSOR_EXPIRED", None)
}

fn refused(code: Code, reason: &str, retry_delay: Option<Duration>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, "instagram.accounts", HashMap::new());
    if let Some(delay) = retry_delay {
        details.set_retry_info(Some(delay));
    }
    Status::with_error_details(code, "as the script says", details)
}
