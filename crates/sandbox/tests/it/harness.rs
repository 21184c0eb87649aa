//! A running sandbox and a client that follows no redirects.

use ig_sandbox::{Flags, Sandbox, Settings, serve};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const APP_ID: &str = "990000000000017";
pub(crate) const APP_SECRET: &str = "5a4db0c0ffee5a4db0c0ffee5a4db0c0";
pub(crate) const REDIRECT_URI: &str = "https://shop.example/callback";
pub(crate) const SCOPES: &str = "instagram_business_basic,instagram_business_manage_comments";
pub(crate) const PUBLISHING: &str = "instagram_business_content_publish";

pub(crate) struct Running {
    pub(crate) address: String,
    http: Client,
}

/// Starts a sandbox with its defaults; it ends with the test's runtime.
pub(crate) async fn start() -> Running {
    start_seeded("1").await
}

pub(crate) async fn start_seeded(seed: &str) -> Running {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let variable = |name: &str| (name == "SANDBOX_SEED").then(|| seed.into());
    let settings = Settings::resolve(Flags::default(), variable).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(listener, Sandbox::new(settings), std::future::pending()));
    let http = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()
        .unwrap();
    Running { address, http }
}

impl Running {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    /// GET, answered with status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// A control request that must succeed.
    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let path = format!("/sandbox/{path}");
        let response = self.request(method, &path).json(&body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path} {body}");
        response.json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.control(Method::POST, path, body).await
    }

    pub(crate) async fn log(&self) -> Vec<Value> {
        let rows = self.control(Method::GET, "requests", json!(null)).await;
        rows.as_array().unwrap().clone()
    }

    pub(crate) async fn advance(&self, seconds: i64) {
        self.post("clock", json!({ "advance_seconds": seconds })).await;
    }

    pub(crate) async fn account(&self, username: &str) -> Value {
        let all = self.control(Method::GET, "accounts", json!(null)).await;
        let found = all["accounts"].as_array().unwrap().iter();
        found.into_iter().find(|account| account["username"] == username).unwrap().clone()
    }

    /// Opens the consent page's address with more parameters; answers status and `Location`.
    pub(crate) async fn authorize(&self, more: &[(&str, &str)]) -> (u16, String) {
        let usual = [
            ("client_id", APP_ID),
            ("redirect_uri", REDIRECT_URI),
            ("response_type", "code"),
            ("scope", SCOPES),
            ("state", "s1"),
        ];
        let kept = usual.iter().filter(|(name, _)| more.iter().all(|(other, _)| name != other));
        let query: Vec<_> = kept.chain(more).collect();
        let request = self.request(Method::GET, "/oauth/authorize").query(&query);
        let response = request.send().await.unwrap();
        let location = response.headers().get("location");
        let location = location.map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), location.unwrap_or_default())
    }

    pub(crate) async fn code_for(&self, username: &str, scopes: &str) -> String {
        let asked = format!("{SCOPES},{PUBLISHING}");
        let more = [
            ("scope", asked.as_str()),
            ("sandbox_account", username),
            ("sandbox_decision", "allow"),
            ("sandbox_scopes", scopes),
        ];
        let (status, location) = self.authorize(&more).await;
        assert_eq!(status, 302);
        let (_, rest) = location.split_once("code=").unwrap();
        rest.split_once('&').unwrap().0.to_owned()
    }

    pub(crate) async fn code(&self, username: &str) -> String {
        self.code_for(username, SCOPES).await
    }

    /// The request that sends a code, with some of the usual fields changed.
    pub(crate) fn exchange_request(&self, code: &str, changes: &[(&str, &str)]) -> RequestBuilder {
        let mut form = vec![
            ("client_id", APP_ID),
            ("client_secret", APP_SECRET),
            ("grant_type", "authorization_code"),
            ("redirect_uri", REDIRECT_URI),
            ("code", code),
        ];
        form.retain(|(name, _)| changes.iter().all(|(other, _)| name != other));
        form.extend_from_slice(changes);
        self.request(Method::POST, "/oauth/access_token").form(&form)
    }

    pub(crate) async fn exchange_with(
        &self,
        code: &str,
        changes: &[(&str, &str)],
    ) -> (u16, String) {
        read(self.exchange_request(code, changes).send().await.unwrap()).await
    }

    pub(crate) async fn exchange(&self, code: &str) -> (u16, String) {
        self.exchange_with(code, &[]).await
    }

    pub(crate) async fn short_for(&self, username: &str, scopes: &str) -> String {
        let (status, body) = self.exchange(&self.code_for(username, scopes).await).await;
        assert_eq!(status, 200, "{body}");
        access_token(&body)
    }

    pub(crate) async fn short(&self, username: &str) -> String {
        self.short_for(username, SCOPES).await
    }

    pub(crate) async fn long_for(&self, username: &str, scopes: &str) -> String {
        let short = self.short_for(username, scopes).await;
        let (status, body) = self.get(&exchange_path(&short)).await;
        assert_eq!(status, 200, "{body}");
        access_token(&body)
    }

    pub(crate) async fn long(&self, username: &str) -> String {
        self.long_for(username, SCOPES).await
    }
}

pub(crate) fn exchange_path(token: &str) -> String {
    format!(
        "/access_token?grant_type=ig_exchange_token&client_secret={APP_SECRET}&access_token={token}"
    )
}

pub(crate) fn refresh_path(token: &str) -> String {
    format!("/refresh_access_token?grant_type=ig_refresh_token&access_token={token}")
}

pub(crate) fn me_path(token: &str) -> String {
    format!("/me?fields=user_id,username&access_token={token}")
}

pub(crate) async fn read(response: Response) -> (u16, String) {
    (response.status().as_u16(), response.text().await.unwrap())
}

pub(crate) fn access_token(body: &str) -> String {
    parse(body)["access_token"].as_str().unwrap().to_owned()
}

pub(crate) fn parse(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

/// The body of a Graph error without its `fbtrace_id`, which must be there.
pub(crate) fn without_trace(body: &str) -> String {
    let (head, tail) = body.split_once(r#","fbtrace_id":""#).unwrap();
    assert!(tail.len() > 10, "{body}");
    format!("{head}}}}}")
}

/// A Graph error in Instagram's order of members, without its trace.
pub(crate) fn graph_error(message: &str, kind: &str, code: u32, subcode: Option<u32>) -> String {
    let subcode = subcode.map(|subcode| format!(r#","error_subcode":{subcode}"#));
    let subcode = subcode.unwrap_or_default();
    format!(r#"{{"error":{{"message":"{message}","type":"{kind}","code":{code}{subcode}}}}}"#)
}
