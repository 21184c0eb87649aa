//! Client: a connection to the service, and each of its calls with deadline and retries.

use std::sync::Arc;
use std::time::Duration;

use backon::Retryable as _;
use ig_proto::v1;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::credentials::{Authorization, Credentials};
use crate::options::{ClientOptions, ConnectError};
use crate::refusal::Refusal;
use crate::retry::{CALL_BACKOFF, INSTAGRAM_TIMEOUT, STORE_TIMEOUT, delay_within, is_passing};
use crate::watch::{Watch, WatchOptions};

/// The generated client.
pub(crate) type Stub = InstagramAccountServiceClient<Channel>;

/// Timeout of [`AccountsClient::connect`], with all its tries.
const CONNECT_DEADLINE: Duration = Duration::from_secs(15);

/// A client of the service. Clones share its connection, which is made anew whenever it breaks.
///
/// Each call has a deadline, and is made up to five times within it while the service, or the way to it, is away or
/// overloaded; the service names the time to wait. Any call may be repeated, so a retry does nothing twice.
#[derive(Clone)]
pub struct AccountsClient {
    channel: Channel,
    /// Makes one more connection.
    dial: Arc<dyn Fn() -> Channel + Send + Sync>,
    credentials: Credentials,
}

/// Declares the calls, each by a row: its method, its messages, its name, and its timeout.
macro_rules! calls {
    ($($(#[$doc:meta])+ $method:ident($request:ident) -> $response:ident, $name:literal, $timeout:ident;)+) => {
        impl AccountsClient {
            $(
                $(#[$doc])+
                ///
                /// # Errors
                ///
                /// The refusal of the last try.
                pub async fn $method(
                    &self,
                    request: v1::$request,
                ) -> Result<v1::$response, Refusal> {
                    let send = |mut stub: Stub, request| async move { stub.$method(request).await };
                    self.call($timeout, request, send).await
                }
            )+
        }

        /// Timeout of each call by its name.
        #[cfg(test)]
        pub(crate) const TIMEOUTS: &[(&str, Duration)] = &[$(($name, $timeout)),+];
    };
}

calls! {
    /// Begins a link: makes a single-use state and the URL to send the person to.
    begin_link(BeginLinkRequest) -> BeginLinkResponse, "BeginLink", STORE_TIMEOUT;
    /// Finishes a link: redeems the code that the browser brought back, and stores the account.
    link(LinkRequest) -> LinkResponse, "Link", INSTAGRAM_TIMEOUT;
    /// Answers what is stored of one account.
    get(GetRequest) -> GetResponse, "Get", STORE_TIMEOUT;
    /// Answers what is stored of up to 100 accounts at once.
    batch_get(BatchGetRequest) -> BatchGetResponse, "BatchGet", STORE_TIMEOUT;
    /// Lists accounts, a page at a time.
    list(ListRequest) -> ListResponse, "List", STORE_TIMEOUT;
    /// Renews the token if Instagram allows it now, and reads the profile anew.
    refresh(RefreshRequest) -> RefreshResponse, "Refresh", INSTAGRAM_TIMEOUT;
    /// Hands out an account's token, once more with each call. A [`TokenCache`](crate::TokenCache) asks less often,
    /// and keeps the token where nobody prints it.
    fetch_access_token(FetchAccessTokenRequest) -> FetchAccessTokenResponse, "FetchAccessToken", INSTAGRAM_TIMEOUT;
    /// Forgets an account and destroys its token. Set `allow_missing`: a try whose answer was lost has done it already.
    unlink(UnlinkRequest) -> UnlinkResponse, "Unlink", INSTAGRAM_TIMEOUT;
    /// Adopts a long-lived token that exists already.
    import(ImportRequest) -> ImportResponse, "Import", INSTAGRAM_TIMEOUT;
    /// Records that all up to a cursor is done by a named consumer. [`Watch::commit`] does so for its own.
    commit_watch(CommitWatchRequest) -> CommitWatchResponse, "CommitWatch", STORE_TIMEOUT;
}

impl AccountsClient {
    /// Connects, for up to 15 seconds: a service that is just starting is waited for.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] where the options are wrong, or the service cannot be connected to.
    pub async fn connect(options: ClientOptions) -> Result<Self, ConnectError> {
        let (endpoint, credentials) = options.parse()?;
        let connecting = (|| endpoint.connect()).retry(CALL_BACKOFF);
        let connected = timeout(CONNECT_DEADLINE, connecting).await;
        let channel = connected.map_err(|_| ConnectError::DeadlineExceeded)?;
        let channel = channel.map_err(ConnectError::Unreachable)?;
        Ok(Self { channel, dial: Arc::new(move || endpoint.connect_lazy()), credentials })
    }

    /// A client that connects by its first call.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] where the options are wrong.
    pub fn connect_lazy(options: ClientOptions) -> Result<Self, ConnectError> {
        let (endpoint, credentials) = options.parse()?;
        let dial = move || endpoint.connect_lazy();
        Ok(Self { channel: dial(), dial: Arc::new(dial), credentials })
    }

    /// A client whose connections are made so.
    #[cfg(test)]
    pub(crate) fn dialling(
        dial: impl Fn() -> Channel + Send + Sync + 'static,
        credentials: Credentials,
    ) -> Self {
        Self { channel: dial(), dial: Arc::new(dial), credentials }
    }

    /// Follows what happens to accounts. The stream connects when it is first polled, on a connection of its own.
    #[must_use]
    pub fn watch(&self, options: WatchOptions) -> Watch {
        Watch::new(self.clone(), options)
    }

    /// A client of one more connection, which is made by its first call.
    pub(crate) fn new_connection(&self) -> Stub {
        Stub::new((self.dial)())
    }

    /// What the next call carries of who makes it.
    pub(crate) async fn authorization(&self) -> Result<Option<Authorization>, Refusal> {
        self.credentials.authorization().await.map_err(Refusal::unavailable)
    }

    async fn call<Q, A, F>(
        &self,
        timeout: Duration,
        request: Q,
        send: impl Fn(Stub, Request<Q>) -> F,
    ) -> Result<A, Refusal>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let deadline = Instant::now() + timeout;
        let attempt = || async {
            let request = with_authorization(request.clone(), self.authorization().await?);
            let stub = Stub::new(self.channel.clone());
            answer_by(deadline, request, |request| send(stub, request)).await
        };
        attempt
            .retry(CALL_BACKOFF)
            .when(is_passing)
            .adjust(|refusal, backoff| delay_within(deadline, refusal, backoff))
            .await
    }
}

/// A request that says who makes it.
pub(crate) fn with_authorization<Q>(
    message: Q,
    authorization: Option<Authorization>,
) -> Request<Q> {
    let mut request = Request::new(message);
    if let Some(authorization) = authorization {
        request.metadata_mut().insert("authorization", authorization);
    }
    request
}

/// One try, which ends by the deadline. The service is told how much time is left.
async fn answer_by<Q, A, F>(
    deadline: Instant,
    mut request: Request<Q>,
    send: impl FnOnce(Request<Q>) -> F,
) -> Result<A, Refusal>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    match timeout_at(deadline, send(request)).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        // The channel watches the time, too, and calls it by another name.
        Ok(Err(status)) if status.code() == Code::Cancelled && Instant::now() >= deadline => {
            Err(Refusal::deadline_exceeded())
        }
        Ok(Err(status)) => Err(status.into()),
        Err(_) => Err(Refusal::deadline_exceeded()),
    }
}

#[cfg(test)]
mod tests;
