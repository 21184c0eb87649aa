//! Persons who remove the app or have their data deleted, as Meta tells it.

mod erasure;

use ig_proto::v1::watch_request::From;
use ig_proto::v1::{
    AccountStatus, BeginLinkRequest, EventKind, InstagramAccount, ReauthorizationReason,
    TokenOutcome, WatchRequest, WatchStart, get_request,
};
use reqwest::{Client, Method, redirect};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::process::address_in;
use crate::support::sandbox::{BAKERY, Decision};
use crate::support::{
    A_DAY_LATER, On, Place, Sandbox, Service, Stack, arrival, eventually, reason, refusal,
};

const SETTINGS: [(&str, &str); 3] = [
    ("HTTP_LISTEN", "127.0.0.1:0"),
    ("PUBLIC_URL", "https://example.com/instagram"),
    ("RETURN_URLS", "https://example.com/linked"),
];

/// Has Meta tell the service by `callback` of a person who removes the app; returns the status and the body of the
/// answer.
async fn remove(
    sandbox: &Sandbox,
    service: &Service,
    callback: &str,
    mut request: Value,
) -> (u64, String) {
    request["url"] = format!("{}/{callback}", address(service)).into();
    let answer = sandbox.control(Method::POST, callback, Some(request)).await;
    (answer["status"].as_u64().unwrap(), answer["body"].as_str().unwrap().to_owned())
}

/// Has Meta send a deauthorize callback; returns the status of the answer.
async fn deauthorize(sandbox: &Sandbox, service: &Service, request: Value) -> u64 {
    remove(sandbox, service, "deauthorize", request).await.0
}

/// Has Meta ask for the deletion of a person's data; returns the confirmation code.
async fn delete_data(sandbox: &Sandbox, service: &Service, request: Value) -> String {
    let (status, answer) = remove(sandbox, service, "data-deletion", request).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let code = answer["confirmation_code"].as_str().unwrap();
    assert_eq!(answer["url"], format!("https://example.com/instagram/data-deletion/{code}"));
    code.to_owned()
}

/// What the page of a deletion shows.
async fn page(service: &Service, code: &str) -> String {
    let page = client().get(format!("{}/data-deletion/{code}", address(service)));
    let shown = page.send().await.unwrap().error_for_status().unwrap();
    shown.text().await.unwrap()
}

/// A browser that follows no redirect.
fn client() -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap()
}

/// URL of the listener, which the service says by its public one.
fn address(service: &Service) -> String {
    let line = service.process.line_with("calls back are answered");
    for path in ["deauthorize", "data-deletion"] {
        assert!(line.contains(&format!("https://example.com/instagram/{path}")), "{line}");
    }
    format!("http://{}", address_in(&line).expect("the line names the address"))
}

async fn get(service: &Service, account_id: &str) -> InstagramAccount {
    service.get(get_request::Key::AccountId(account_id.to_owned())).await.unwrap()
}

/// The events so far, as their kinds and causes.
async fn told(service: &Service, number: usize) -> Vec<(EventKind, String)> {
    let from = Some(From::Start(WatchStart::Earliest.into()));
    let request = WatchRequest { from, ..WatchRequest::default() };
    let mut stream = service.client.clone().watch(request).await.unwrap().into_inner();
    let mut told = Vec::new();
    while told.len() < number {
        let events = stream.message().await.unwrap().unwrap().events;
        told.extend(events.iter().map(|event| (event.kind(), event.cause.clone())));
    }
    told
}

#[rstest]
#[tokio::test]
async fn a_person_who_removes_the_app_is_to_consent_again(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stack = Stack::start_on(on, &SETTINGS).await;
    let Stack { sandbox, service, .. } = &stack;
    let account = service.linked(sandbox, "shop/7", BAKERY).await;
    let (id, issued) = (&account.account_id, sandbox.now_seconds().await);
    let of = |issued: i64| json!({ "username": BAKERY, "issued_at": issued, "revoke": false });

    let mut forged = of(issued);
    forged["secret"] = "forged".into();
    assert_eq!(deauthorize(sandbox, service, forged).await, 400);
    assert_eq!(deauthorize(sandbox, service, of(issued - 3600)).await, 200);
    assert_eq!(get(service, id).await.status(), AccountStatus::Active);

    for _ in 0..2 {
        assert_eq!(deauthorize(sandbox, service, json!({ "username": BAKERY })).await, 200);
    }
    let dead = get(service, id).await;
    assert_eq!(dead.status(), AccountStatus::ReauthorizationRequired);
    assert_eq!(dead.reauthorization_reason(), ReauthorizationReason::Deauthorized);
    let refused = refusal(service.fetch(id, 1).await);
    assert_eq!(refused.reason, "REAUTHORIZATION_REQUIRED");
    assert_eq!(refused.metadata["reauthorization_reason"], "DEAUTHORIZED");
    assert_eq!(reason(service.refresh(id).await), "REAUTHORIZATION_REQUIRED");
    let died = (EventKind::ReauthorizationRequired, "DEAUTHORIZED".to_owned());
    assert_eq!(told(service, 2).await[1], died);

    let before = sandbox.now_seconds().await;
    stack.advance(60).await;
    let begin = BeginLinkRequest {
        owner: "shop/7".to_owned(),
        account_id: id.clone(),
        ..Default::default()
    };
    let begun = service.begin_as(begin).await;
    let arrived = sandbox.decide(&begun.authorization_url, BAKERY, Decision::Allow).await;
    let linked = service.link(arrival(arrived, "shop/7")).await.unwrap();
    assert_eq!(linked.account.unwrap().account_id, *id);
    for issued in [issued, before] {
        assert_eq!(deauthorize(sandbox, service, of(issued)).await, 200);
    }
    assert_eq!(get(service, id).await.status(), AccountStatus::Active);
    assert!(service.fetch(id, 1).await.is_ok());
    assert_eq!(told(service, 3).await.len(), 3);
}

#[tokio::test]
async fn requests_that_a_former_secret_signed_are_accepted_while_it_is_listed() {
    let (folder, sandbox) = (Place::new(On::Sqlite).await, Sandbox::start().await);
    let secrets = format!("{},former", sandbox.app_secret);
    let settings = [&SETTINGS[..], &[("INSTAGRAM_APP_SECRET", &secrets)]].concat();
    let service = folder.serve(&sandbox, &settings).await;
    for (secret, status) in [("former", 200), (sandbox.app_secret.as_str(), 200), ("other", 400)] {
        let request = json!({ "user_id": "7", "secret": secret });
        for callback in ["deauthorize", "data-deletion"] {
            let (answered, _) = remove(&sandbox, &service, callback, request.clone()).await;
            assert_eq!(answered, status, "{callback} {secret}");
        }
    }
}

/// A renewal is no consent: the deletion that was issued before it deletes, and comes to nothing only after the person
/// has consented anew.
#[rstest]
#[tokio::test]
async fn a_deletion_holds_until_the_person_consents_anew(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stack = Stack::start_on(on, &SETTINGS).await;
    let Stack { sandbox, service, .. } = &stack;
    let renewed = service.linked(sandbox, "shop/7", BAKERY).await;
    let issued = sandbox.now_seconds().await;
    let of = |issued: i64| json!({ "username": BAKERY, "issued_at": issued, "revoke": false });
    stack.advance(A_DAY_LATER).await;
    let refreshed = service.refresh(&renewed.account_id).await.unwrap();
    assert_eq!(refreshed.token_outcome(), TokenOutcome::Renewed);
    let code = delete_data(sandbox, service, of(issued)).await;
    let key = get_request::Key::AccountId(renewed.account_id);
    assert_eq!(reason(service.get(key).await), "ACCOUNT_NOT_FOUND");

    let before = sandbox.now_seconds().await;
    stack.advance(60).await;
    let linked = service.linked(sandbox, "shop/7", BAKERY).await;
    assert_eq!(delete_data(sandbox, service, of(issued)).await, code);
    // Until then a later one runs, too.
    eventually("the deletion is over", async || {
        page(service, &code).await.contains("Your data is deleted").then_some(())
    })
    .await;
    let late = delete_data(sandbox, service, of(before)).await;
    assert_ne!(late, code);
    assert!(page(service, &late).await.contains("Nothing was deleted"));
    assert_eq!(get(service, &linked.account_id).await.status(), AccountStatus::Active);
    assert!(service.fetch(&linked.account_id, 1).await.is_ok());
}
