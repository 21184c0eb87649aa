//! Instagram over HTTP: the [`Instagram`] port on the "Instagram API with Instagram Login".
//!
//! [`GraphApi`] builds the requests, `transport` sends them and tells apart how they can fail, `refusal`
//! says what Instagram's errors mean, `lenient` reads JSON and `wire` the answers in it.

mod base_url;
mod compression;
mod endpoint;
mod envelope;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod lenient;
mod meter;
mod outage_log;
mod probe;
mod proxy_url;
mod refusal;
mod throttle;
mod transport;
mod usage;
mod wire;

use std::collections::BTreeSet;

use async_trait::async_trait;
use ig_domain::ports::{CodeExchange, Instagram, InstagramError, InstagramErrorKind};
use ig_domain::{
    AppId, AuthorizationCode, LongLivedToken, Profile, RedirectUri, RequestedScopes, Scope,
    ShortLivedToken, StateToken, TokenLifetime, TokenText, WebhookFields,
};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};

use self::endpoint::Endpoint;
use self::transport::{Limits, Transport};
use self::wire::Readable;

pub use self::base_url::{BaseUrl, InvalidBaseUrl};
pub use self::meter::InstagramMeter;
pub use self::probe::{NotReached, Probe, ProbeAnswer, ProbeVerdict, WebhookCheckError};
pub use self::proxy_url::{InvalidProxyUrl, ProxyUrl};
pub use self::transport::HttpClientError;

/// The Meta app that speaks, and the URLs of Instagram.
#[derive(Clone, Debug)]
pub struct GraphApiSettings {
    /// The *Instagram* app id.
    pub app_id: AppId,
    /// The *Instagram* app secret.
    pub app_secret: SecretString,
    /// The page that people consent on, such as `https://www.instagram.com/oauth/authorize`.
    pub authorize_url: BaseUrl,
    /// Base URL of the code exchange, such as `https://api.instagram.com`.
    pub api_url: BaseUrl,
    /// Base URL of all other calls, such as `https://graph.instagram.com`; a version may follow.
    pub graph_url: BaseUrl,
    /// The proxy that all calls go through; `None` for none.
    pub proxy: Option<ProxyUrl>,
}

/// The [`Instagram`] port over HTTP.
///
/// An authorization code is sent once, on a connection of its own. The other calls are retried, at most twice, after a
/// failure that repeating may mend: they are `GET`s or set a subscription, and a renewal whose answer was lost is
/// harmless to ask for again.
/// Secrets travel in bodies, queries and headers only; no error and no log of this type holds one.
pub struct GraphApi {
    settings: GraphApiSettings,
    transport: Transport,
}

impl GraphApi {
    /// Makes the HTTP clients of a process; connections are reused but for codes, and `meter` counts the requests.
    ///
    /// The process must have installed a `rustls` crypto provider before, also where it speaks plain HTTP
    /// only.
    ///
    /// # Errors
    ///
    /// [`HttpClientError`] when no crypto provider is installed, or the system has no root certificates.
    pub fn new(settings: GraphApiSettings, meter: InstagramMeter) -> Result<Self, HttpClientError> {
        let transport = Transport::new(Limits::DEFAULT, settings.proxy.as_ref(), meter)?;
        Ok(Self { settings, transport })
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        self.transport.get(self.settings.graph_url.endpoint(path)).query(query)
    }

    fn subscribed_apps(&self, method: Method, token: &TokenText) -> RequestBuilder {
        let url = self.settings.graph_url.endpoint("/me/subscribed_apps");
        self.transport.request(method, url).bearer_auth(token.expose())
    }

    /// Sends a request that sets or ends the subscription: it is harmless to repeat.
    async fn set(
        &self,
        request: impl Fn() -> RequestBuilder + Send + Sync,
    ) -> Result<(), InstagramError> {
        let answer = self.transport.repeat(Endpoint::Subscription, request).await?;
        wire::success(&answer)
    }

    async fn token(
        &self,
        endpoint: Endpoint,
        request: impl Fn() -> RequestBuilder + Send + Sync,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        let answer = self.transport.repeat(endpoint, request).await?;
        wire::LongLivedAnswer::read(answer)
    }
}

#[async_trait]
impl Instagram for GraphApi {
    fn authorization_url(
        &self,
        redirect_uri: &RedirectUri,
        scopes: &RequestedScopes,
        state: &StateToken,
        force_reauth: bool,
    ) -> String {
        let scopes: Vec<_> = scopes.iter().map(Scope::as_str).collect();
        let mut url = self.settings.authorize_url.as_url().clone();
        url.query_pairs_mut()
            .append_pair("client_id", self.settings.app_id.as_str())
            .append_pair("redirect_uri", redirect_uri.as_str())
            .append_pair("response_type", "code")
            .append_pair("scope", &scopes.join(","))
            .append_pair("state", state.expose());
        if force_reauth {
            url.query_pairs_mut().append_pair("force_reauth", "true");
        }
        url.into()
    }

    async fn exchange_code(
        &self,
        code: &AuthorizationCode,
        redirect_uri: &RedirectUri,
    ) -> Result<CodeExchange, InstagramError> {
        let url = self.settings.api_url.endpoint("/oauth/access_token");
        let request = self.transport.post(url).form(&[
            ("client_id", self.settings.app_id.as_str()),
            ("client_secret", self.settings.app_secret.expose_secret()),
            ("grant_type", "authorization_code"),
            ("redirect_uri", redirect_uri.as_str()),
            ("code", code.expose()),
        ]);
        let answer = self.transport.once(Endpoint::CodeExchange, request).await?;
        wire::CodeAnswer::read(answer)
    }

    async fn extend_token(
        &self,
        token: &ShortLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        let query = [
            ("grant_type", "ig_exchange_token"),
            ("client_secret", self.settings.app_secret.expose_secret()),
            ("access_token", token.text().expose()),
        ];
        self.token(Endpoint::TokenExtension, || self.get("/access_token", &query)).await
    }

    async fn renew_token(
        &self,
        token: &LongLivedToken,
    ) -> Result<(LongLivedToken, TokenLifetime), InstagramError> {
        let query = [("grant_type", "ig_refresh_token"), ("access_token", token.text().expose())];
        self.token(Endpoint::TokenRenewal, || self.get("/refresh_access_token", &query)).await
    }

    async fn profile(&self, token: &TokenText) -> Result<Profile, InstagramError> {
        let query = [("fields", wire::ProfileAnswer::FIELDS)];
        let request = || self.get("/me", &query).bearer_auth(token.expose());
        let answer = self.transport.repeat(Endpoint::Profile, request).await?;
        wire::ProfileAnswer::read(answer)
    }

    async fn subscription(&self, token: &TokenText) -> Result<BTreeSet<String>, InstagramError> {
        let request = || self.subscribed_apps(Method::GET, token);
        let answer = self.transport.repeat(Endpoint::Subscription, request).await?;
        wire::subscribed_fields(&answer).ok_or_else(|| InstagramErrorKind::Unreadable.into())
    }

    async fn subscribe(
        &self,
        token: &TokenText,
        fields: &WebhookFields,
    ) -> Result<(), InstagramError> {
        let fields = fields.iter().collect::<Vec<_>>().join(",");
        let query = [("subscribed_fields", fields)];
        self.set(|| self.subscribed_apps(Method::POST, token).query(&query)).await
    }

    async fn unsubscribe(&self, token: &TokenText) -> Result<(), InstagramError> {
        self.set(|| self.subscribed_apps(Method::DELETE, token)).await
    }

    fn usage_percent(&self) -> Option<u16> {
        self.transport.usage_percent()
    }
}
