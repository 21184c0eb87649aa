//! Probes of a deployment: requests that change nothing, and show whether Instagram is reached and how it takes the app.

use std::time::Duration;

use ig_domain::TokenText;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::envelope::ErrorEnvelope;
use super::proxy_url::{ProxyUrl, host};
use super::refusal::UNKNOWN_SESSION;
use super::transport::{Answer, HttpClientError, Limits, client};
use super::{GraphApiSettings, lenient};

/// Timeout of a probe, from the search for the host to the end of the answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A code that Instagram never issued. The app is judged before the code.
const UNKNOWN_CODE: &str = "unknown";

/// Redirect URI that goes with it. No browser follows it.
const REDIRECT_URI: &str = "https://example.com/";

/// Challenge of our check of the webhooks' address.
const CHALLENGE: &str = "1158201444";

/// Texts of Instagram's refusals, in lower case, that tell what is wrong with a deployment.
///
/// Source: reports of clients; Meta documents none of them.
const VERDICTS: [(&str, ProbeVerdict); 6] = [
    ("invalid platform app", ProbeVerdict::UnknownApp),
    ("error validating client secret", ProbeVerdict::WrongSecret),
    ("unsupported request", ProbeVerdict::AppRefused),
    ("error validating application", ProbeVerdict::AppRefused),
    ("cannot parse access token", ProbeVerdict::ForeignToken),
    (UNKNOWN_SESSION, ProbeVerdict::SessionUnknown),
];

/// Meaning of an answer to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeVerdict {
    /// The request was accepted.
    Accepted,
    /// Instagram does not know the app id.
    UnknownApp,
    /// The app secret is wrong.
    WrongSecret,
    /// Instagram refuses the app: by its access level, for want of a tester role, or since it is restricted or disabled.
    AppRefused,
    /// The host takes tokens of another kind.
    ForeignToken,
    /// The token belongs to no session that could be exchanged. Instagram says so of a long-lived token once the app
    /// secret was right.
    SessionUnknown,
    /// Any other refusal in Instagram's own form.
    OtherRefusal,
    /// An answer that is not in Instagram's form, with its HTTP status.
    Foreign(u16),
}

/// Answer to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// Meaning.
    pub verdict: ProbeVerdict,
    /// Moment of the answer by the clock of whoever answered; `None` where it is not told.
    pub time: Option<OffsetDateTime>,
}

/// A server gave no whole answer in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} is not reached{} ({cause})", through(proxy.as_deref()))]
pub struct NotReached {
    /// Host and port that were asked.
    pub host: String,
    /// Host and port of the proxy; `None` where none is used.
    pub proxy: Option<String>,
    /// Cause, without anything that was sent.
    pub cause: String,
}

fn through(proxy: Option<&str>) -> String {
    proxy.map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"))
}

/// Our check of the webhooks' address, made as Meta makes it, was not answered with the challenge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookCheckError {
    /// No whole answer came in time.
    #[error(transparent)]
    NotReached(#[from] NotReached),
    /// Another HTTP status than 200.
    #[error("{host} answers HTTP {status}")]
    Status {
        /// Host and port that were asked.
        host: String,
        /// The status.
        status: u16,
    },
    /// HTTP 200 and another text.
    #[error("{host} answers something else than the challenge")]
    OtherText {
        /// Host and port that were asked.
        host: String,
    },
}

/// Probes of a deployment. Each ends within 5 seconds, is sent once, and changes nothing where it arrives.
///
/// No error and no log holds anything secret that was sent.
pub struct Probe {
    settings: GraphApiSettings,
    /// Client of Instagram, through the proxy where there is one.
    instagram: Client,
    /// Client without a proxy.
    direct: Client,
}

impl Probe {
    /// Makes the HTTP clients.
    ///
    /// # Errors
    ///
    /// [`HttpClientError`], as for [`GraphApi::new`](super::GraphApi::new).
    pub fn new(settings: GraphApiSettings) -> Result<Self, HttpClientError> {
        let limits = Limits {
            connect: PROBE_TIMEOUT,
            attempt: PROBE_TIMEOUT,
            call: PROBE_TIMEOUT,
            idle: PROBE_TIMEOUT,
        };
        let instagram = client(limits, 0, settings.proxy.as_ref())?;
        Ok(Self { instagram, direct: client(limits, 0, None)?, settings })
    }

    /// Presents a code that Instagram never issued.
    ///
    /// # Errors
    ///
    /// [`NotReached`].
    pub async fn exchange_unknown_code(&self) -> Result<ProbeAnswer, NotReached> {
        let url = self.settings.api_url.endpoint("/oauth/access_token");
        let request = self.instagram.post(url.clone()).form(&[
            ("client_id", self.settings.app_id.as_str()),
            ("client_secret", self.settings.app_secret.expose_secret()),
            ("grant_type", "authorization_code"),
            ("redirect_uri", REDIRECT_URI),
            ("code", UNKNOWN_CODE),
        ]);
        self.ask(&url, request).await
    }

    /// Asks for the profile; without a token, only to be refused.
    ///
    /// # Errors
    ///
    /// [`NotReached`].
    pub async fn profile(&self, token: Option<&TokenText>) -> Result<ProbeAnswer, NotReached> {
        let url = self.settings.graph_url.endpoint("/me");
        let request = self.instagram.get(url.clone()).query(&[("fields", "user_id")]);
        let request = match token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        self.ask(&url, request).await
    }

    /// Presents a long-lived token as if it were a short-lived one: Instagram judges the app secret first.
    ///
    /// # Errors
    ///
    /// [`NotReached`].
    pub async fn exchange_long_lived(&self, token: &TokenText) -> Result<ProbeAnswer, NotReached> {
        let url = self.settings.graph_url.endpoint("/access_token");
        let request = self.instagram.get(url.clone()).query(&[
            ("grant_type", "ig_exchange_token"),
            ("client_secret", self.settings.app_secret.expose_secret()),
            ("access_token", token.expose()),
        ]);
        self.ask(&url, request).await
    }

    /// Checks the webhooks' `address`, an absolute URL, as Meta does before it sends any there.
    ///
    /// # Errors
    ///
    /// [`WebhookCheckError`].
    pub async fn check_webhooks(
        &self,
        address: &str,
        verify_token: &SecretString,
    ) -> Result<(), WebhookCheckError> {
        let request = self.direct.get(address).query(&[
            ("hub.mode", "subscribe"),
            ("hub.challenge", CHALLENGE),
            ("hub.verify_token", verify_token.expose_secret()),
        ]);
        let host = Url::parse(address).map(|url| host(&url)).unwrap_or_default();
        let answer = Answer::or_cause(request).await;
        let answer =
            answer.map_err(|cause| NotReached { host: host.clone(), proxy: None, cause })?;
        match answer.status {
            StatusCode::OK if answer.body.as_deref() == Some(CHALLENGE.as_bytes()) => Ok(()),
            StatusCode::OK => Err(WebhookCheckError::OtherText { host }),
            status => Err(WebhookCheckError::Status { host, status: status.as_u16() }),
        }
    }

    async fn ask(&self, url: &Url, request: RequestBuilder) -> Result<ProbeAnswer, NotReached> {
        let answer = Answer::or_cause(request).await.map_err(|cause| {
            let proxy = self.settings.proxy.as_ref().map(ProxyUrl::host);
            NotReached { host: host(url), proxy, cause }
        })?;
        let json: Option<Value> = answer.body.as_deref().and_then(lenient::parse);
        Ok(ProbeAnswer {
            verdict: verdict(answer.status, json.as_ref()),
            time: time(&answer.headers),
        })
    }
}

fn verdict(status: StatusCode, json: Option<&Value>) -> ProbeVerdict {
    match json.map(ErrorEnvelope::find) {
        Some(Some(ErrorEnvelope { message, .. })) => {
            let mut verdicts = VERDICTS.into_iter();
            let known = verdicts.find(|(text, _)| message.contains(text));
            known.map_or(ProbeVerdict::OtherRefusal, |(_, verdict)| verdict)
        }
        Some(None) if status.is_success() => ProbeVerdict::Accepted,
        _ => ProbeVerdict::Foreign(status.as_u16()),
    }
}

fn time(headers: &HeaderMap) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(headers.get(DATE)?.to_str().ok()?, &Rfc2822).ok()
}
