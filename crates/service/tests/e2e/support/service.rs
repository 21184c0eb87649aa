//! The service, and what its callers do.

use std::fmt::Debug;
use std::path::Path;
use std::process::Command;

use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use ig_proto::v1::{
    BeginLinkRequest, BeginLinkResponse, FetchAccessTokenRequest, FetchAccessTokenResponse,
    GetRequest, GetResponse, InstagramAccount, LinkRequest, LinkResponse, ListRequest,
    ListResponse, RefreshRequest, RefreshResponse, UnlinkRequest, UnlinkResponse, get_request,
};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::{ErrorInfo, StatusExt as _};

use super::process::Process;
use super::sandbox::Decision;
use super::{HOUR, REDIRECT_URI, Sandbox, eventually};

/// The key that tests seal under.
pub(crate) const TOKEN_KEYS: &str = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Lifetime of a state where a test sets nothing else.
const STATE_TTL_SECONDS: i64 = 15 * 60;

/// A running service and a client of it.
pub(crate) struct Service {
    pub(crate) address: String,
    pub(crate) process: Process,
    pub(crate) client: InstagramAccountServiceClient<Channel>,
}

/// A client that leaves deadlines to the service: tonic's own channel watches them itself.
pub(crate) type ClientWithoutDeadline = InstagramAccountServiceClient<Client<HttpConnector, Body>>;

/// The reason of a refused call, and what goes with it.
pub(crate) fn refusal<T: Debug>(answer: Result<T, Status>) -> ErrorInfo {
    let status = answer.expect_err("the call was to be refused");
    let info = status.get_details_error_info();
    info.unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"))
}

/// The stable reason of a refused call.
pub(crate) fn reason<T: Debug>(answer: Result<T, Status>) -> String {
    refusal(answer).reason
}

/// Request to `Link` for a browser that arrived at this URL.
pub(crate) fn arrival(url: String, owner: &str) -> LinkRequest {
    LinkRequest { authorization_response: url, owner: owner.to_owned(), ..Default::default() }
}

/// A request for a token that lives for `days` more days.
pub(crate) fn fetch(account_id: &str, days: i64) -> FetchAccessTokenRequest {
    FetchAccessTokenRequest {
        account_id: account_id.to_owned(),
        owner: None,
        min_ttl: Some(prost_types::Duration { seconds: days * 24 * HOUR, nanos: 0 }),
        purpose: "publish post 7".to_owned(),
    }
}

impl Service {
    /// The command that serves from `folder` against `sandbox`.
    pub(crate) fn command(sandbox: &Sandbox, folder: &Path) -> Command {
        Self::command_of(&sandbox.url, [&sandbox.app_id, &sandbox.app_secret], folder)
    }

    /// The command that serves from `folder` against whatever stands in for Instagram at `url`; the app is its
    /// id and its secret.
    pub(crate) fn command_of(url: &str, app: [&str; 2], folder: &Path) -> Command {
        let mut command = Self::settings(url, app, folder);
        command.arg("serve");
        command
    }

    /// The binary and its settings, still without a command.
    pub(crate) fn settings(url: &str, app: [&str; 2], folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_instagram-accounts"));
        let database = format!("sqlite://{}?mode=rwc", folder.join("accounts.db").display());
        command
            .current_dir(folder)
            .env_clear()
            .env("INSTAGRAM_APP_ID", app[0])
            .env("INSTAGRAM_APP_SECRET", app[1])
            .env("INSTAGRAM_API_URL", url)
            .env("INSTAGRAM_GRAPH_URL", url)
            .env("INSTAGRAM_AUTHORIZE_URL", format!("{url}/oauth/authorize"))
            .env("SANDBOX_CLOCK_URL", format!("{url}/sandbox/clock"))
            .env("DATABASE_URL", database)
            .env("TOKEN_KEYS", TOKEN_KEYS)
            .env("GRPC_LISTEN", "127.0.0.1:0")
            .env("METRICS_LISTEN", "127.0.0.1:0")
            // Tests let months pass; those of the keeper turn it on.
            .env("KEEPER", "false")
            .env("RUST_LOG", "info");
        command
    }

    pub(crate) async fn start(sandbox: &Sandbox, folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = Self::command(sandbox, folder);
        command.envs(settings.iter().copied());
        Self::run(command).await
    }

    /// Starts this command and waits until it serves: a busy machine may take longer for the migrations than the start
    /// waits for them.
    pub(crate) async fn run(command: Command) -> Self {
        // In a box: the futures of tests hold this one, some of them several times.
        let serving = Box::pin(async {
            let (service, channel) = Self::listen(command).await;
            let mut health = HealthClient::new(channel);
            eventually("it serves", async || {
                let request = HealthCheckRequest::default();
                let answer = health.check(request).await.unwrap().into_inner();
                (answer.status() == ServingStatus::Serving).then_some(())
            })
            .await;
            service
        });
        serving.await
    }

    /// Starts this command and waits until it listens, also where its store is not fit.
    pub(crate) async fn run_without_store(command: Command) -> Self {
        Self::listen(command).await.0
    }

    async fn listen(command: Command) -> (Self, Channel) {
        let process = Process::start(command);
        let address = process.address().await.to_string();
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let client = InstagramAccountServiceClient::new(channel.clone());
        (Self { address, process, client }, channel)
    }

    pub(crate) fn client_without_deadline(&self) -> ClientWithoutDeadline {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .http2_only(true)
            .build_http();
        let origin = format!("http://{}", self.address).parse().unwrap();
        InstagramAccountServiceClient::with_origin(client, origin)
    }

    pub(crate) async fn begin(&self, owner: &str) -> BeginLinkResponse {
        self.begin_as(BeginLinkRequest { owner: owner.to_owned(), ..Default::default() }).await
    }

    /// Begins this link; without a redirect URI it is the usual one.
    pub(crate) async fn begin_as(&self, mut request: BeginLinkRequest) -> BeginLinkResponse {
        if request.redirect_uri.is_empty() {
            REDIRECT_URI.clone_into(&mut request.redirect_uri);
        }
        self.client.clone().begin_link(request).await.unwrap().into_inner()
    }

    /// Begins a link, and lets a person allow it; returns the request to `Link`.
    pub(crate) async fn consent(
        &self,
        sandbox: &Sandbox,
        owner: &str,
        username: &str,
    ) -> LinkRequest {
        let begun = self.begin(owner).await;
        let arrived = sandbox.decide(&begun.authorization_url, username, Decision::Allow).await;
        arrival(arrived, owner)
    }

    pub(crate) async fn link(&self, request: LinkRequest) -> Result<LinkResponse, Status> {
        self.client.clone().link(request).await.map(Response::into_inner)
    }

    /// The whole flow for this account.
    pub(crate) async fn linked(
        &self,
        sandbox: &Sandbox,
        owner: &str,
        username: &str,
    ) -> InstagramAccount {
        let request = self.consent(sandbox, owner, username).await;
        self.link(request).await.unwrap().account.unwrap()
    }

    pub(crate) async fn get(&self, key: get_request::Key) -> Result<InstagramAccount, Status> {
        let request = GetRequest { key: Some(key), owner: None };
        let answer = self.client.clone().get(request).await.map(Response::into_inner)?;
        let GetResponse { account } = answer;
        Ok(account.unwrap())
    }

    /// Waits until the service has seen the sandbox's clock move: a new state then ends later than the
    /// sandbox's present moment.
    pub(crate) async fn clock_follows(&self, sandbox: &Sandbox) {
        self.clock_reaches(sandbox.now_seconds().await).await;
    }

    /// Waits until business time is at least `now`, in seconds since 1970.
    pub(crate) async fn clock_reaches(&self, now: i64) {
        eventually("the service's clock follows", async || {
            let state_ends = self.begin("clock").await.expire_time.unwrap().seconds;
            (state_ends >= now + STATE_TTL_SECONDS).then_some(())
        })
        .await;
    }

    pub(crate) async fn refresh(&self, account_id: &str) -> Result<RefreshResponse, Status> {
        let request = RefreshRequest { account_id: account_id.to_owned(), owner: None };
        self.client.clone().refresh(request).await.map(Response::into_inner)
    }

    /// Asks for a token that lives for `days` more days.
    pub(crate) async fn fetch(
        &self,
        account_id: &str,
        days: i64,
    ) -> Result<FetchAccessTokenResponse, Status> {
        self.client
            .clone()
            .fetch_access_token(fetch(account_id, days))
            .await
            .map(Response::into_inner)
    }

    pub(crate) async fn list(&self, request: ListRequest) -> Result<ListResponse, Status> {
        self.client.clone().list(request).await.map(Response::into_inner)
    }

    pub(crate) async fn unlink(&self, account_id: &str) -> Result<UnlinkResponse, Status> {
        let request = UnlinkRequest { account_id: account_id.to_owned(), ..Default::default() };
        self.client.clone().unlink(request).await.map(Response::into_inner)
    }
}
