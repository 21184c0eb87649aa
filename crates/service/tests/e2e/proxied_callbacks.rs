//! Instagram's calls back through the stack's own proxy, at two replicas.

use ig_proto::v1::watch_request::From;
use ig_proto::v1::{BeginLinkRequest, EventKind, WatchRequest, WatchStart};
use nix::sys::signal::Signal;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::support::Service;
use crate::support::compose::{ComposeStack, REPLICAS, environment, model};
use crate::support::eventually;
use crate::support::sandbox::{BAKERY, CREATOR, Decision};

/// Headers of a client that claims to have come by another URL.
const CLAIMS: [(&str, &str); 6] = [
    ("host", "evil.example"),
    ("forwarded", "host=evil.example;proto=https"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-port", "444"),
    ("x-forwarded-prefix", "/evil"),
];

/// Whoever calls back, through the proxy.
struct Caller<'a> {
    stack: &'a ComposeStack,
    client: Client,
}

impl Caller<'_> {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.stack.proxy.callbacks)
    }

    /// Meta's check of the webhooks' address.
    async fn check(&self) -> Response {
        let settings = environment(&model(), REPLICAS[0]);
        let query = [
            ("hub.mode", "subscribe"),
            ("hub.challenge", "1158201444"),
            ("hub.verify_token", &settings["WEBHOOK_VERIFY_TOKEN"]),
        ];
        self.client.get(self.url("/webhooks/instagram")).query(&query).send().await.unwrap()
    }

    /// Has Instagram send something; returns what is told of the answer.
    async fn send(&self, path: &str, to: &str, mut body: Value) -> Value {
        body["url"] = self.url(to).into();
        let sent = self.stack.sandbox.control(Method::POST, path, Some(body)).await;
        assert_eq!(sent["status"], 200, "{sent}");
        sent
    }
}

#[tokio::test]
async fn calls_back_reach_whichever_replica_is_ready_whatever_their_headers_claim() {
    let (stack, [mut one, mut other]) = ComposeStack::start().await;
    let claims = CLAIMS
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let claims = HeaderMap::from_iter(claims);
    let client = Client::builder().redirect(Policy::none()).no_proxy().default_headers(claims);
    let client = client.build().unwrap();
    let caller = Caller { stack: &stack, client };
    one.linked(&stack.sandbox, "shop/7", BAKERY).await;
    a_browser_ends_on_the_page(&caller, &one).await;
    let [comment, message] =
        ["comment", "message"].map(|kind| json!({"username": BAKERY, "kind": kind}));
    caller.send("webhooks", "/webhooks/instagram", json!({"updates": [comment, message]})).await;
    assert_eq!(told(&other).await, ["comments", "messages"]);
    a_deletion_is_told_under_the_public_url(&caller).await;

    one.process.signal(Signal::SIGTERM);
    assert!(one.process.ended().await.success());
    for _ in REPLICAS {
        assert_eq!(caller.check().await.text().await.unwrap(), "1158201444");
    }
    other.process.ended_by(Signal::SIGKILL).await;
    let answer = eventually("nobody answers", async || {
        let answer = caller.check().await;
        (answer.status() == 503).then_some(answer)
    })
    .await;
    // As a browser and Instagram understand it.
    assert_eq!(answer.headers().get("grpc-status"), None);
}

/// Hosted consent: Instagram sends the browser to the proxy, where either replica finishes the link.
async fn a_browser_ends_on_the_page(caller: &Caller<'_>, service: &Service) {
    let request = BeginLinkRequest { owner: "shop/7".to_owned(), ..Default::default() };
    let begun = service.client.clone().begin_link(request).await.unwrap().into_inner();
    let sandbox = &caller.stack.sandbox;
    let arrived = sandbox.decide(&begun.authorization_url, CREATOR, Decision::Allow).await;
    assert!(arrived.starts_with(&caller.url("/oauth/callback?code=")), "{arrived}");
    for _ in REPLICAS {
        let page = caller.client.get(&arrived).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let page = page.text().await.unwrap();
        assert!(page.contains("Your Instagram account is linked"), "{page}");
        assert!(!page.contains("evil"), "{page}");
    }
}

/// Fields of the updates that a replica tells.
async fn told(service: &Service) -> [String; 2] {
    let from = Some(From::Start(WatchStart::Earliest.into()));
    let kinds = vec![EventKind::Webhook.into()];
    let request = WatchRequest { from, kinds, ..WatchRequest::default() };
    let mut stream = service.client.clone().watch(request).await.unwrap().into_inner();
    let mut told = Vec::new();
    while told.len() < 2 {
        let events = stream.message().await.unwrap().unwrap().events;
        told.extend(events.into_iter().map(|event| event.webhook.unwrap().field));
    }
    told.sort_unstable();
    told.try_into().unwrap()
}

/// Whoever sends the person's request, the URL in the answer is the same.
async fn a_deletion_is_told_under_the_public_url(caller: &Caller<'_>) {
    let sent = caller.send("data-deletion", "/data-deletion", json!({"username": BAKERY})).await;
    let request = caller.client.post(caller.url("/data-deletion"));
    let form = [("signed_request", sent["signed_request"].as_str().unwrap())];
    let claimed = request.form(&form).send().await.unwrap().text().await.unwrap();
    let url = |body: &str| {
        let body: Value = serde_json::from_str(body).unwrap();
        body["url"].as_str().unwrap().to_owned()
    };
    let given = url(sent["body"].as_str().unwrap());
    assert!(given.starts_with(&caller.url("/data-deletion/")), "{given}");
    assert_eq!(url(&claimed), given);
    assert_eq!(caller.client.get(given).send().await.unwrap().status(), 200);
}
