//! The sandbox, and what people do at Instagram.

use std::process::Command;

use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

use super::process::Process;
use super::{eventually, tool};

/// A business.
pub(crate) const BAKERY: &str = "harbour.bakery";

/// A creator.
pub(crate) const CREATOR: &str = "mira.paints";

/// A business without name and picture.
pub(crate) const NAMELESS: &str = "plain_shop";

/// A sandbox of one's own on a port of its own.
pub(crate) struct Sandbox {
    pub(crate) url: String,
    pub(crate) app_id: String,
    pub(crate) app_secret: String,
    _process: Process,
    client: Client,
}

/// Decision of a person on the consent page.
#[derive(Clone, Copy)]
pub(crate) enum Decision<'a> {
    Allow,
    AllowOnly(&'a str),
    Deny,
}

impl Sandbox {
    pub(crate) async fn start() -> Self {
        let mut command = Command::new(tool("INSTAGRAM_SANDBOX_BIN"));
        command.env_clear().env("SANDBOX_LISTEN", "127.0.0.1:0").env("RUST_LOG", "info");
        let process = Process::start(command);
        let line = process.line_with("sandbox listening on ");
        let url = line.split_whitespace().last().unwrap().to_owned();
        // Another test may have been first.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let mut sandbox = Self {
            url,
            app_id: String::new(),
            app_secret: String::new(),
            _process: process,
            client: client.build().unwrap(),
        };
        let app = sandbox.control(Method::GET, "accounts", None).await["app"].take();
        app["id"].as_str().unwrap().clone_into(&mut sandbox.app_id);
        app["secret"].as_str().unwrap().clone_into(&mut sandbox.app_secret);
        sandbox
    }

    /// One call to the control interface.
    pub(crate) async fn control(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.client.request(method, format!("{}/sandbox/{path}", self.url));
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path} {body:?}: {status} {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    /// Lets time pass.
    pub(crate) async fn advance(&self, seconds: i64) {
        self.control(Method::POST, "clock", Some(json!({ "advance_seconds": seconds }))).await;
    }

    /// The present moment in the sandbox, in whole seconds since 1970.
    pub(crate) async fn now_seconds(&self) -> i64 {
        let clock = self.control(Method::GET, "clock", None).await;
        let now = clock["now"].as_str().unwrap();
        let format = &time::format_description::well_known::Rfc3339;
        time::OffsetDateTime::parse(now, format).unwrap().unix_timestamp()
    }

    /// Makes something go wrong.
    pub(crate) async fn fault(&self, fault: Value) {
        self.control(Method::POST, "faults", Some(fault)).await;
    }

    pub(crate) async fn clear_faults(&self) {
        self.control(Method::DELETE, "faults", None).await;
    }

    /// Requests to Instagram at this endpoint, oldest first.
    pub(crate) async fn requests(&self, endpoint: &str) -> Vec<Value> {
        let all = self.control(Method::GET, "requests", None).await;
        let all = all.as_array().expect("a list").iter();
        all.filter(|request| request["endpoint"] == endpoint).cloned().collect()
    }

    /// Waits until Instagram has been asked so many times at this endpoint.
    pub(crate) async fn reached(&self, endpoint: &str, times: usize) {
        eventually(&format!("{times} requests at {endpoint}"), async || {
            (self.requests(endpoint).await.len() >= times).then_some(())
        })
        .await;
    }

    /// Takes an account's tokens away, for this reason.
    pub(crate) async fn revoke(&self, username: &str, reason: &str) {
        let body = json!({ "username": username, "reason": reason });
        self.control(Method::POST, "revoke", Some(body)).await;
    }

    /// A long-lived token of this age without consent, as Meta's App Dashboard makes them.
    pub(crate) async fn token(&self, username: &str, age_seconds: i64) -> String {
        let body = json!({ "username": username, "age_seconds": age_seconds });
        let made = self.control(Method::POST, "tokens", Some(body)).await;
        made["access_token"].as_str().unwrap().to_owned()
    }

    /// Answer of Instagram to `/me` with this token.
    pub(crate) async fn me(&self, token: &str) -> Value {
        let url = format!("{}/me?fields=user_id", self.url);
        let answer = self.client.get(url).bearer_auth(token).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    /// The account as Instagram knows it.
    pub(crate) async fn account(&self, username: &str) -> Value {
        let accounts = self.control(Method::GET, "accounts", None).await;
        let mut accounts = accounts["accounts"].as_array().expect("a list").iter();
        accounts.find(|account| account["username"] == username).expect("it is seeded").clone()
    }

    /// A person decides without seeing the page; returns where the browser is sent.
    pub(crate) async fn decide(
        &self,
        authorization_url: &str,
        username: &str,
        decision: Decision<'_>,
    ) -> String {
        let mut url = Url::parse(authorization_url).unwrap();
        url.query_pairs_mut().append_pair("sandbox_account", username);
        match decision {
            Decision::Allow => url.query_pairs_mut().append_pair("sandbox_decision", "allow"),
            Decision::Deny => url.query_pairs_mut().append_pair("sandbox_decision", "deny"),
            Decision::AllowOnly(scopes) => url
                .query_pairs_mut()
                .append_pair("sandbox_decision", "allow")
                .append_pair("sandbox_scopes", scopes),
        };
        let answer = self.client.get(url).send().await.unwrap();
        assert!(answer.status().is_redirection(), "{}", answer.status());
        answer.headers()["location"].to_str().unwrap().to_owned()
    }
}
