//! A server under test: its ports, its clients and what an error must look like.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer as HyperTimer};
use ig_application::{
    EventPoller, HostedConsent, LinkSettings, Ports, StorePorts, Watch, WatchPorts,
};
use ig_domain::ports::{
    AccountKey, AccountPage, AccountReader, BatchKey, Callers, CodeExchange, Instagram,
    MockInstagram, StoreError, StoreProbe, Timer,
};
use ig_domain::{
    AccountId, GrantedScopes, InstagramAccount, LongLivedToken, Profile, RedirectUri, Scope,
    ShortLivedToken, TokenLifetime,
};
use ig_grpc_server::{
    ConnectionRuntimes, CurrentTls, Readiness, ServeError, ServerMeters, ServerSettings, UseCases,
    serve,
};
use ig_metrics::Registry;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use ig_test_support::builders::{START, long_lived, parsed, pending_link, profile};
use ig_test_support::callers::Everybody;
use ig_test_support::{FakeClock, FakeTimer, MemoryStore, RecordedMetrics, SequentialIds};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// A client of the account service as other services use it.
pub(crate) type TonicClient = InstagramAccountServiceClient<Channel>;

/// A client that sends `grpc-timeout` and leaves it to the server.
pub(crate) type ClientWithoutDeadline = InstagramAccountServiceClient<Client<HttpConnector, Body>>;

/// Time for which events are kept.
const EVENT_WINDOW: Duration = Duration::from_hours(14 * 24);

/// The runtime's time, which tests may pause.
struct TokioTimer;

#[async_trait]
impl Timer for TokioTimer {
    fn now(&self) -> std::time::Instant {
        tokio::time::Instant::now().into_std()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// Parts of which a server is built.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) accounts: Arc<dyn AccountReader>,
    pub(crate) probe: Arc<dyn StoreProbe>,
    pub(crate) instagram: Arc<dyn Instagram>,
    pub(crate) clock: FakeClock,
    pub(crate) redirect_uris: Vec<RedirectUri>,
    pub(crate) hosted: Option<HostedConsent>,
    pub(crate) callers: Arc<dyn Callers>,
    pub(crate) reflection: bool,
    pub(crate) drain_timeout: Duration,
    pub(crate) readiness: Readiness,
    /// Whether connections have runtimes of their own.
    pub(crate) connection_runtimes: bool,
    pub(crate) tls: Option<CurrentTls>,
    pub(crate) registry: Mutex<Registry>,
}

/// A server that runs.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), ServeError>>,
}

impl World {
    /// An empty store and an Instagram that nobody may ask.
    pub(crate) fn new() -> Self {
        Self::with(MockInstagram::new())
    }

    /// An empty store and this Instagram.
    pub(crate) fn with(instagram: MockInstagram) -> Self {
        let store = MemoryStore::new(parsed("990602627938098"));
        let mut registry = Registry::new("test", "1");
        Self {
            accounts: Arc::new(store.clone()),
            probe: Arc::new(store.clone()),
            store,
            instagram: Arc::new(instagram),
            clock: FakeClock::at(START),
            redirect_uris: Vec::new(),
            hosted: None,
            callers: Arc::new(Everybody),
            reflection: true,
            drain_timeout: Duration::from_secs(30),
            readiness: Readiness::register(&mut registry),
            connection_runtimes: false,
            tls: None,
            registry: Mutex::new(registry),
        }
    }

    /// Starts a link under `state` for `owner`.
    pub(crate) async fn begin(&self, state: &str, owner: &str) {
        use ig_domain::ports::PendingLinks as _;
        self.store.insert(&pending_link(state, owner, START)).await.unwrap();
    }

    /// The use cases, whose streams end by `stop`. Their poller runs until then.
    fn use_cases(&self, stop: &CancellationToken) -> UseCases {
        let store = StorePorts::of(Arc::new(self.store.clone()));
        let ports = Ports {
            store: store.reading(self.accounts.clone()),
            instagram: self.instagram.clone(),
            clock: Arc::new(self.clock.clone()),
            timer: Arc::new(FakeTimer::new()),
            ids: Arc::new(SequentialIds::default()),
            metrics: Arc::new(RecordedMetrics::default()),
            health: Arc::default(),
        };
        let state_ttl = Duration::from_mins(15);
        let watch = self.watch(&ports, stop);
        let links = LinkSettings {
            redirect_uris: self.redirect_uris.clone(),
            hosted: self.hosted.clone(),
            state_ttl,
        };
        UseCases::new(&ports, &watch, links, &TaskTracker::new())
    }

    fn watch(&self, ports: &Ports, stop: &CancellationToken) -> Watch {
        let store = Arc::new(self.store.clone());
        let watch_ports = WatchPorts {
            log: store.clone(),
            consumers: store.clone(),
            accounts: self.accounts.clone(),
            webhooks: store,
            clock: ports.clock.clone(),
            timer: Arc::new(TokioTimer),
            ids: ports.ids.clone(),
        };
        let watch = Watch::new(watch_ports, EVENT_WINDOW, stop.clone());
        let (poller, holds) = (EventPoller::new(&watch, None), watch.holds.clone());
        tokio::spawn(async move { poller.run().await });
        let stop = stop.clone();
        tokio::spawn(async move { holds.run(&stop).await });
        watch
    }

    /// Serves on a free port.
    pub(crate) async fn serve(&self) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = AtomicU64::new(0);
        let settings = ServerSettings {
            callers: self.callers.clone(),
            reflection: self.reflection,
            drain_timeout: self.drain_timeout,
            request_ids: Arc::new(move || {
                format!("made-{}", count.fetch_add(1, Ordering::Relaxed) + 1)
            }),
            readiness: self.readiness.clone(),
            connection_runtimes: if self.connection_runtimes {
                ConnectionRuntimes::start().unwrap()
            } else {
                ConnectionRuntimes::default()
            },
            tls: self.tls.clone(),
            meters: ServerMeters::register(&mut self.registry.lock().unwrap()),
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let use_cases = self.use_cases(&stop);
        let served = serve(listener, use_cases, settings, self.probe.clone(), stopped);
        Server { address, stop, task: tokio::spawn(served) }
    }

    /// Serves, and connects a client.
    pub(crate) async fn client(&self) -> TonicClient {
        self.serve().await.client().await
    }
}

impl Server {
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    pub(crate) async fn client(&self) -> TonicClient {
        InstagramAccountServiceClient::new(self.channel().await)
    }

    pub(crate) fn client_without_deadline(&self) -> ClientWithoutDeadline {
        let origin = format!("http://{}", self.address).parse().unwrap();
        InstagramAccountServiceClient::with_origin(http_client(), origin)
    }
}

/// A client of HTTP/2 that knows nothing of gRPC.
pub(crate) fn http_client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).timer(HyperTimer::new()).http2_only(true).build_http()
}

/// An Instagram that redeems every code for business account 1.
pub(crate) fn willing_instagram() -> MockInstagram {
    instagram_of(|| profile(1))
}

/// An Instagram that redeems every code for an account with this profile.
pub(crate) fn instagram_of(mut profile: impl FnMut() -> Profile + Send + 'static) -> MockInstagram {
    let mut instagram = MockInstagram::new();
    instagram.expect_exchange_code().returning(|_, _| Ok(exchange(&[Scope::basic()])));
    instagram.expect_extend_token().returning(|_| Ok((long_lived("IGAA-long"), sixty_days())));
    instagram.expect_profile().returning(move |_| Ok(profile()));
    instagram
}

/// The lifetime that Instagram gives long-lived tokens.
pub(crate) fn sixty_days() -> TokenLifetime {
    TokenLifetime::from_seconds(5_183_999).unwrap()
}

/// Result of exchanging a code when these scopes were granted.
pub(crate) fn exchange(granted: &[Scope]) -> CodeExchange {
    CodeExchange {
        token: ShortLivedToken::new(parsed("IGAA-short")),
        user_id: Some(parsed("26100000000010001")),
        granted_scopes: GrantedScopes::Known(granted.iter().cloned().collect()),
    }
}

/// Accounts whose reading hangs until it is released, then finds nothing.
#[derive(Clone, Default)]
pub(crate) struct Stuck {
    pub(crate) entered: Arc<Notify>,
    pub(crate) released: Arc<Notify>,
    /// Has as many permits as reads of many accounts have begun.
    pub(crate) bulk_reads: BulkReads,
}

/// No permit at first.
#[derive(Clone)]
pub(crate) struct BulkReads(pub(crate) Arc<Semaphore>);

impl Default for BulkReads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

#[async_trait]
impl AccountReader for Stuck {
    async fn find(&self, _key: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        self.entered.notify_one();
        self.released.notified().await;
        Ok(None)
    }

    async fn find_many(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        self.bulk_reads.0.add_permits(1);
        self.released.notified().await;
        Ok(vec![None; keys.len()])
    }

    async fn find_by_ids(
        &self,
        ids: &[AccountId],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        Ok(vec![None; ids.len()])
    }

    async fn list(&self, _page: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        panic!("a planted panic")
    }

    async fn find_with_token(
        &self,
        _id: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError> {
        Ok(None)
    }
}

/// Asserts that `status` is this refusal, with these facts and the id of its request; returns its details.
#[track_caller]
pub(crate) fn assert_refused(
    status: &Status,
    code: Code,
    reason: &str,
    facts: &[(&str, &str)],
) -> ErrorDetails {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no error info: {status:?}"));
    assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{}", status.message());
    assert_eq!(info.domain, "instagram.accounts");
    let expected: BTreeMap<_, _> = facts.iter().copied().collect();
    let found = info.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
    let id = status.metadata().get("x-request-id").expect("a request id in the metadata");
    let request = details.request_info().expect("a request info");
    assert_eq!(id.to_str().unwrap(), request.request_id);
    assert!(!status.message().is_empty());
    assert_eq!(pushback(status), retry_delay(&details).map(told_to_libraries));
    details
}

/// Milliseconds for which a gRPC library is told to wait before it retries by itself.
fn pushback(status: &Status) -> Option<i64> {
    let told = status.metadata().get("grpc-retry-pushback-ms")?;
    Some(told.to_str().unwrap().parse().unwrap())
}

/// The same time in milliseconds, or -1, "do not retry", where it is longer than five seconds.
fn told_to_libraries(delay: Duration) -> i64 {
    let milliseconds = delay.as_millis().try_into().unwrap();
    if milliseconds <= 5_000 { milliseconds } else { -1 }
}

/// The fields that `details` names as bad.
pub(crate) fn bad_fields(details: &ErrorDetails) -> Vec<&str> {
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice());
    violations.unwrap_or_default().iter().map(|one| one.field.as_str()).collect()
}

/// Delay after which `details` say to retry.
pub(crate) fn retry_delay(details: &ErrorDetails) -> Option<Duration> {
    details.retry_info().and_then(|retry| retry.retry_delay)
}
