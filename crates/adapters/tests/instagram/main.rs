//! The client of Instagram against a server on loopback: what it sends, what it makes of every answer, and
//! what it keeps to itself.

#![cfg(test)]

mod answers;
mod outages;
mod probes;
mod proxy;
mod requests;
mod secrets;

use ig_adapters::instagram::{BaseUrl, GraphApi, GraphApiSettings, InstagramMeter, ProxyUrl};
use ig_domain::ports::{Instagram, InstagramError};
use ig_domain::{AuthorizationCode, LongLivedToken, RedirectUri, ShortLivedToken, TokenText};
use ig_metrics::Registry;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

const APP_ID: &str = "990602627938098";
const APP_SECRET: &str = "planted-app-secret";
const CODE: &str = "AQD-planted-code";
const SHORT_LIVED: &str = "IGAA-planted-short";
const LONG_LIVED: &str = "IGAA-planted-long";
const REDIRECT_URI: &str = "https://example.com/callback?a=b&c";

/// A client whose three URLs begin with `base`.
fn client_of(base: &str) -> GraphApi {
    client_through(None, base)
}

/// The same, through a proxy.
fn client_through(proxy: Option<ProxyUrl>, base: &str) -> GraphApi {
    let meter = InstagramMeter::register(&mut Registry::new("test", "1"));
    GraphApi::new(settings_of(proxy, base), meter).unwrap()
}

/// Settings of such a client.
fn settings_of(proxy: Option<ProxyUrl>, base: &str) -> GraphApiSettings {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = |path: &str| BaseUrl::parse(&format!("{base}{path}"), true).unwrap();
    GraphApiSettings {
        app_id: APP_ID.parse().unwrap(),
        app_secret: APP_SECRET.into(),
        authorize_url: url("/oauth/authorize"),
        api_url: url("/api"),
        graph_url: url("/v25.0"),
        proxy,
    }
}

/// A server that gives one answer to everything, and a client that asks it.
async fn answering(answer: ResponseTemplate) -> (MockServer, GraphApi) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let client = client_of(&server.uri());
    (server, client)
}

fn json(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.to_owned(), "application/json")
}

/// The calls of the port, for tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Exchange,
    Extend,
    Renew,
    Profile,
    Subscription,
    Subscribe,
    Unsubscribe,
}

impl Call {
    const ALL: [Self; 7] = [
        Self::Exchange,
        Self::Extend,
        Self::Renew,
        Self::Profile,
        Self::Subscription,
        Self::Subscribe,
        Self::Unsubscribe,
    ];

    /// Makes the call, and shows what came of it.
    async fn make(self, client: &GraphApi) -> Result<String, InstagramError> {
        let code: AuthorizationCode = CODE.parse().unwrap();
        let redirect_uri: RedirectUri = REDIRECT_URI.parse().unwrap();
        let short = ShortLivedToken::new(SHORT_LIVED.parse().unwrap());
        let text: TokenText = LONG_LIVED.parse().unwrap();
        match self {
            Self::Exchange => shown(client.exchange_code(&code, &redirect_uri).await),
            Self::Extend => shown(client.extend_token(&short).await),
            Self::Renew => shown(client.renew_token(&LongLivedToken::new(text)).await),
            Self::Profile => shown(client.profile(&text).await),
            Self::Subscription => shown(client.subscription(&text).await),
            Self::Subscribe => {
                let fields = "messages,comments".parse().unwrap();
                shown(client.subscribe(&text, &fields).await)
            }
            Self::Unsubscribe => shown(client.unsubscribe(&text).await),
        }
    }
}

fn shown<T: std::fmt::Debug>(answer: Result<T, InstagramError>) -> Result<String, InstagramError> {
    answer.map(|answer| format!("{answer:?}"))
}
