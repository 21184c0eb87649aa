//! Sends requests, bounds every wait and size, and tells apart what was sent from what was not.

use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use ig_domain::ports::{Cause, InstagramError, InstagramErrorKind};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url, redirect, retry};
use rustls::crypto::CryptoProvider;
use serde_json::Value;
use tracing::debug;

use self::failure::Failure;
use super::compression::decompressed;
use super::endpoint::Endpoint;
use super::meter::{Ended, InstagramMeter};
use super::outage_log::OutageLog;
use super::proxy_url::{ProxyUrl, host};
use super::refusal;
use super::usage::Usage;

mod failure;
#[cfg(test)]
mod tests;

/// Maximum size of a body in bytes, as it travels and again where it is decompressed. Ours: Instagram's are a few
/// kilobytes long.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Time limits of calls and connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Timeout of name, TCP and TLS together. Past it nothing was sent.
    pub(super) connect: Duration,
    /// Timeout of one try of a call that may be repeated.
    pub(super) attempt: Duration,
    /// Timeout of a whole call, with its retries and the waits between them.
    pub(super) call: Duration,
    /// Time for which an unused connection is kept.
    pub(super) idle: Duration,
}

impl Limits {
    /// A call ends within 10 seconds: half a second is left for what is not waiting. A first try that
    /// hangs leaves more than three seconds for a second one.
    ///
    /// Connections are kept for less than the 5 seconds after which common servers close theirs (a guess
    /// for Instagram, which names no number): a request on one that is just being closed costs a repetition.
    pub(super) const DEFAULT: Self = Self {
        connect: Duration::from_secs(3),
        attempt: Duration::from_secs(6),
        call: Duration::from_millis(9_500),
        idle: Duration::from_secs(4),
    };
}

/// Reason for which there is no HTTP client.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The process has not installed a `rustls` crypto provider.
    #[error("no rustls crypto provider is installed")]
    NoCryptoProvider,
    /// The client cannot be set up: most often the system lacks root certificates.
    #[error("the HTTP client cannot be set up; are root certificates installed?")]
    Setup(#[source] Cause),
}

/// The HTTP clients and their limits.
pub(super) struct Transport {
    /// Keeps connections, for requests that are harmless to repeat.
    pooled: Client,
    /// Makes a connection for each request. A request on a kept one that is just being closed gets no answer, and
    /// a code whose answer is lost is lost with it.
    unpooled: Client,
    limits: Limits,
    meter: InstagramMeter,
    outages: OutageLog,
    usage: Usage,
}

impl Transport {
    /// Makes the clients, whose requests go through `proxy` and are counted by `meter`.
    pub(super) fn new(
        limits: Limits,
        proxy: Option<&ProxyUrl>,
        meter: InstagramMeter,
    ) -> Result<Self, HttpClientError> {
        let outages = OutageLog::new(proxy.map(ProxyUrl::host));
        let (pooled, unpooled) = (client(limits, usize::MAX, proxy)?, client(limits, 0, proxy)?);
        let usage = Usage::new(meter.usage.clone());
        Ok(Self { pooled, unpooled, limits, meter, outages, usage })
    }

    /// Highest figure of the usage that Instagram stated last, in per cent of a limit; `None` where it stated none.
    pub(super) fn usage_percent(&self) -> Option<u16> {
        self.usage.percent()
    }

    /// Begins a `GET`.
    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.pooled.get(url)
    }

    /// Begins a request that is harmless to repeat.
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.pooled.request(method, url)
    }

    /// Begins a `POST`, on a connection of its own.
    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.unpooled.post(url)
    }

    /// Sends a request once, and returns the JSON of an answer that accepts it.
    pub(super) async fn once(
        &self,
        endpoint: Endpoint,
        request: RequestBuilder,
    ) -> Result<Value, InstagramError> {
        let host = host_of(request.try_clone());
        let answer = self.send(endpoint, request).await;
        answer.map_err(|failure| self.give_up(endpoint, &host, failure))
    }

    /// Sends a request that is harmless to repeat: up to three times, while the time for a call lasts.
    pub(super) async fn repeat(
        &self,
        endpoint: Endpoint,
        request: impl Fn() -> RequestBuilder + Send + Sync,
    ) -> Result<Value, InstagramError> {
        // 150–300 ms before the second try, 300–600 ms before the third.
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(150))
            .with_max_times(2)
            .with_jitter();
        let tries = (|| self.send(endpoint, request().timeout(self.limits.attempt)))
            .retry(pauses)
            .when(|failure: &Failure| may_mend(failure.error.kind));
        let ended = tokio::time::timeout(self.limits.call, tries).await;
        let answer = ended.unwrap_or_else(|_| Err(Failure::timed_out()));
        answer.map_err(|failure| self.give_up(endpoint, &host_of(Some(request())), failure))
    }

    /// Sends a request once. Logs never have a URL, for it may hold secrets.
    #[tracing::instrument(name = "instagram", level = "debug", skip_all, fields(%endpoint))]
    async fn send(&self, endpoint: Endpoint, request: RequestBuilder) -> Result<Value, Failure> {
        let metered = self.meter.begin(endpoint);
        let answer = ask(endpoint, request, &self.usage).await;
        metered
            .end(answer.as_ref().map_or_else(|failure| failure.error.kind.into(), |_| Ended::Ok));
        answer
    }

    /// Error of a call that failed for good; an outage is logged.
    fn give_up(&self, endpoint: Endpoint, host: &str, failure: Failure) -> InstagramError {
        let Failure { error, cause } = failure;
        self.outages.write(endpoint, host, &error, &cause);
        error
    }
}

/// A client that keeps up to `max_idle` unused connections to a host. The usual variables name no proxy to it.
pub(super) fn client(
    limits: Limits,
    max_idle: usize,
    proxy: Option<&ProxyUrl>,
) -> Result<Client, HttpClientError> {
    // Without a provider `build` panics instead of failing.
    if CryptoProvider::get_default().is_none() {
        return Err(HttpClientError::NoCryptoProvider);
    }
    let setup = |error: reqwest::Error| HttpClientError::Setup(Cause::new(error.without_url()));
    let uncompressed = (ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let client = Client::builder()
        .user_agent(concat!("instagram-accounts/", env!("CARGO_PKG_VERSION")))
        .default_headers(HeaderMap::from_iter([uncompressed]))
        .connect_timeout(limits.connect)
        .timeout(limits.call)
        .pool_idle_timeout(limits.idle)
        .pool_max_idle_per_host(max_idle)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy();
    let client = match proxy {
        Some(proxy) => client.proxy(proxy.for_all().map_err(setup)?),
        None => client,
    };
    client.build().map_err(setup)
}

/// Host and port that a request goes to.
fn host_of(request: Option<RequestBuilder>) -> String {
    let request = request.and_then(|request| request.build().ok());
    request.map_or_else(String::new, |request| host(request.url()))
}

/// Whether the same request may fare better a moment later. Throttling grows worse by asking again.
fn may_mend(kind: InstagramErrorKind) -> bool {
    use InstagramErrorKind::{NoAnswer, NotSent, Unavailable};
    matches!(kind, NotSent | NoAnswer | Unavailable)
}

/// Sends a request and judges its answer, whose `usage` of limits is kept.
async fn ask(endpoint: Endpoint, request: RequestBuilder, usage: &Usage) -> Result<Value, Failure> {
    let started = Instant::now();
    let answer = Answer::receive(request).await;
    let elapsed_ms = started.elapsed().as_millis();
    match answer {
        Ok(Answer { status, headers, body }) => {
            debug!(status = status.as_u16(), elapsed_ms, "Instagram answered");
            usage.update(&headers);
            let accepted = refusal::accept(endpoint, status, &headers, body.as_deref());
            accepted.map_err(|error| Failure { error, cause: format!("HTTP {}", status.as_u16()) })
        }
        Err(error) => {
            let failure = Failure::from(error);
            debug!(elapsed_ms, cause = failure.cause, "{}", failure.error.kind);
            Err(failure)
        }
    }
}

/// Answer of Instagram. `body` is `None` where it is too long or cannot be decompressed.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
}

impl Answer {
    /// Sends a request once; without a whole answer, the cause, which holds nothing that was sent.
    pub(super) async fn or_cause(request: RequestBuilder) -> Result<Self, String> {
        Self::receive(request).await.map_err(|error| Failure::from(error).cause)
    }

    async fn receive(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let mut response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Ok(Self { status, headers, body: None });
            }
            body.extend_from_slice(&chunk);
        }
        let body = decompressed(&headers, body, MAX_BODY_BYTES);
        Ok(Self { status, headers, body })
    }
}
