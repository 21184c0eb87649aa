//! Sends requests, bounds every wait and size, and tells apart what was sent from what was not.

use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use ig_domain::ports::{Cause, InstagramError, InstagramErrorKind};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect, retry};
use rustls::crypto::CryptoProvider;
use serde_json::Value;
use tracing::debug;

use super::compression::decompressed;
use super::endpoint::Endpoint;
use super::meter::{Ended, InstagramMeter};
use super::refusal;

#[cfg(test)]
mod tests;

/// How much of an answer is read, in bytes, as it travels and again where it is decompressed. Ours: Instagram's are a few kilobytes long.
const LONGEST_BODY: usize = 1024 * 1024;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For name, TCP and TLS together. Past it nothing was sent.
    pub(super) connect: Duration,
    /// For one try of a call that may be repeated.
    pub(super) attempt: Duration,
    /// For a whole call, with its repetitions and the waits between them.
    pub(super) call: Duration,
    /// For how long an unused connection is kept.
    pub(super) idle: Duration,
}

impl Limits {
    /// A call ends within 10 seconds: half a second is left for what is not waiting. A first try that
    /// hangs leaves more than three seconds for a second one.
    ///
    /// Connections are kept for less than the 5 seconds after which common servers close theirs (a guess
    /// for Instagram, which names no number). A request on a connection that is just being closed gets no
    /// answer, and for a code that would mean that the person has to begin again.
    pub(super) const USUAL: Self = Self {
        connect: Duration::from_secs(3),
        attempt: Duration::from_secs(6),
        call: Duration::from_millis(9_500),
        idle: Duration::from_secs(4),
    };
}

/// Why there is no HTTP client.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The process has not installed a `rustls` crypto provider.
    #[error("no rustls crypto provider is installed")]
    NoCryptoProvider,
    /// The client cannot be set up: most often the system lacks root certificates.
    #[error("the HTTP client cannot be set up; are root certificates installed?")]
    Setup(#[source] Cause),
}

/// The HTTP client and its limits.
pub(super) struct Transport {
    client: Client,
    limits: Limits,
    meter: InstagramMeter,
}

impl Transport {
    /// Makes the client, whose requests `meter` counts.
    pub(super) fn new(limits: Limits, meter: InstagramMeter) -> Result<Self, HttpClientError> {
        // Without a provider `build` panics instead of failing.
        if CryptoProvider::get_default().is_none() {
            return Err(HttpClientError::NoCryptoProvider);
        }
        let client = Client::builder()
            .default_headers(HeaderMap::from_iter([(
                ACCEPT_ENCODING,
                HeaderValue::from_static("identity"),
            )]))
            .user_agent(concat!("instagram-accounts/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect)
            .timeout(limits.call)
            .pool_idle_timeout(limits.idle)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .build()
            .map_err(|error| HttpClientError::Setup(Cause::new(error.without_url())))?;
        Ok(Self { client, limits, meter })
    }

    /// Begins a `GET`.
    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    /// Begins a `POST`.
    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
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
            .when(|error: &InstagramError| may_mend(error.kind));
        let ended = tokio::time::timeout(self.limits.call, tries).await;
        ended.unwrap_or_else(|_| Err(InstagramErrorKind::NoAnswer.into()))
    }

    /// Sends a request once, and returns the JSON of an answer that accepts it.
    ///
    /// Logs one line: never a URL, for it may hold secrets.
    #[tracing::instrument(name = "instagram", level = "debug", skip_all, fields(%endpoint))]
    pub(super) async fn send(
        &self,
        endpoint: Endpoint,
        request: RequestBuilder,
    ) -> Result<Value, InstagramError> {
        let metered = self.meter.begin(endpoint);
        let answer = ask(endpoint, request).await;
        metered.end(answer.as_ref().map_or_else(|error| error.kind.into(), |_| Ended::Ok));
        answer
    }
}

/// Whether the same request may fare better a moment later. Throttling grows worse by asking again.
fn may_mend(kind: InstagramErrorKind) -> bool {
    use InstagramErrorKind::{NoAnswer, NotSent, Unavailable};
    matches!(kind, NotSent | NoAnswer | Unavailable)
}

/// Sends a request and judges its answer.
async fn ask(endpoint: Endpoint, request: RequestBuilder) -> Result<Value, InstagramError> {
    let started = Instant::now();
    let answer = Answer::receive(request).await;
    let elapsed_ms = started.elapsed().as_millis();
    match answer {
        Ok(Answer { status, headers, body }) => {
            debug!(status = status.as_u16(), elapsed_ms, "Instagram answered");
            refusal::accept(endpoint, status, &headers, body.as_deref())
        }
        Err(error) => {
            let kind = fault(&error);
            let timed_out = error.is_timeout();
            debug!(elapsed_ms, timed_out, cause = unsent(&error), "{kind}");
            Err(kind.into())
        }
    }
}

/// What Instagram sent. `body` is `None` where it is too long or cannot be decompressed.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Answer {
    async fn receive(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let mut response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > LONGEST_BODY {
                return Ok(Self { status, headers, body: None });
            }
            body.extend_from_slice(&chunk);
        }
        let body = decompressed(&headers, body, LONGEST_BODY);
        Ok(Self { status, headers, body })
    }
}

/// Whether a request without a whole answer was sent.
///
/// Not sent is only what provably was not: no request is written before name, TCP and TLS are done, and
/// their failures are marked. All else counts as sent, also where a connection broke before the request
/// was written, since a code must never go out twice on a guess. (A request that found its reused
/// connection closed before the first byte has by then been moved to a new one by the client.)
fn fault(error: &reqwest::Error) -> InstagramErrorKind {
    if error.is_connect() || error.is_builder() {
        InstagramErrorKind::NotSent
    } else {
        InstagramErrorKind::NoAnswer
    }
}

/// Why nothing was sent, for the log. What was sent may come back in an error, so there it stays unsaid.
fn unsent(error: &reqwest::Error) -> Option<String> {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    error.is_connect().then(|| cause.to_string())
}
