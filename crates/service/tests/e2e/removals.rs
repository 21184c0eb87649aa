//! Persons who remove the app, as Meta tells it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ig_proto::v1::watch_request::From;
use ig_proto::v1::{
    AccountStatus, BeginLinkRequest, EventKind, InstagramAccount, ReauthorizationReason,
    WatchRequest, WatchStart, get_request,
};
use rstest::rstest;
use sha2::Sha256;

use crate::support::process::address_in;
use crate::support::sandbox::{BAKERY, Decision};
use crate::support::{On, Place, Sandbox, Service, Stack, arrival, eventually, refusal};

const SETTINGS: [(&str, &str); 2] =
    [("HTTP_LISTEN", "127.0.0.1:0"), ("PUBLIC_URL", "https://example.com/instagram")];

/// Posts what Meta signs by `secret` for the person, issued at this second, to this path.
async fn post(
    service: &Service,
    path: &str,
    (person, issued): (&str, i64),
    secret: &str,
) -> reqwest::Response {
    let payload = format!(
        r#"{{"algorithm":"HMAC-SHA256","expires":0,"issued_at":{issued},"user_id":"{person}"}}"#
    );
    let payload = BASE64_URL_SAFE_NO_PAD.encode(payload);
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let mac = mac.chain_update(&payload).finalize().into_bytes();
    let signed_request = format!("{}.{payload}", BASE64_URL_SAFE_NO_PAD.encode(mac));
    let request = client().post(format!("{}{path}", address(service)));
    request.form(&[("signed_request", signed_request)]).send().await.unwrap()
}

fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// URL of the listener, which the service says by its public one.
fn address(service: &Service) -> String {
    let line = service.process.line_with("calls back are answered");
    for path in ["deauthorize", "data-deletion"] {
        assert!(line.contains(&format!("https://example.com/instagram/{path}")), "{line}");
    }
    format!("http://{}", address_in(&line).expect("the line names the address"))
}

/// Sends a deauthorize callback; returns the status.
async fn deauthorize(service: &Service, person: &str, issued: i64, secret: &str) -> u16 {
    post(service, "/deauthorize", (person, issued), secret).await.status().as_u16()
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
    let (id, person) = (&account.account_id, &account.app_scoped_user_id);
    let issued = sandbox.now_seconds().await;

    assert_eq!(deauthorize(service, person, issued, "forged").await, 400);
    assert_eq!(deauthorize(service, person, issued - 3600, &sandbox.app_secret).await, 200);
    assert_eq!(get(service, id).await.status(), AccountStatus::Active);

    for _ in 0..2 {
        assert_eq!(deauthorize(service, person, issued, &sandbox.app_secret).await, 200);
    }
    let dead = get(service, id).await;
    assert_eq!(dead.status(), AccountStatus::ReauthorizationRequired);
    assert_eq!(dead.reauthorization_reason(), ReauthorizationReason::Deauthorized);
    let refused = refusal(service.fetch(id, 1).await);
    assert_eq!(refused.reason, "REAUTHORIZATION_REQUIRED");
    assert_eq!(refused.metadata["reauthorization_reason"], "DEAUTHORIZED");
    assert_eq!(refusal(service.refresh(id).await).reason, "REAUTHORIZATION_REQUIRED");
    let died = (EventKind::ReauthorizationRequired, "DEAUTHORIZED".to_owned());
    assert_eq!(told(service, 2).await[1], died);

    sandbox.advance(60).await;
    service.clock_follows(sandbox).await;
    let begin = BeginLinkRequest {
        owner: "shop/7".to_owned(),
        account_id: id.clone(),
        ..Default::default()
    };
    let begun = service.begin_as(begin).await;
    let arrived = sandbox.decide(&begun.authorization_url, BAKERY, Decision::Allow).await;
    let linked = service.link(arrival(arrived, "shop/7")).await.unwrap();
    assert_eq!(linked.account.unwrap().account_id, *id);
    assert_eq!(deauthorize(service, person, issued, &sandbox.app_secret).await, 200);
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
    let issued = sandbox.now_seconds().await;
    assert_eq!(deauthorize(&service, "7", issued, "former").await, 200);
    assert_eq!(deauthorize(&service, "7", issued, &sandbox.app_secret).await, 200);
    assert_eq!(deauthorize(&service, "7", issued, "other").await, 400);
}

/// Nothing of the person is in any table or file but hashes, and the ids of the account in the rows of events.
#[rstest]
#[tokio::test]
async fn a_person_whose_data_is_deleted_leaves_nothing_behind(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let (place, sandbox) = (Place::new(on).await, Sandbox::start().await);
    let service = place.serve(&sandbox, &SETTINGS).await;
    let account = service.linked(&sandbox, "shop/7", BAKERY).await;
    let id = account.account_id.clone();
    service.fetch(&id, 1).await.unwrap();
    let issued = sandbox.now_seconds().await;
    let person = account.app_scoped_user_id.clone();
    let stored = place.everything().await;
    let needles = [
        &person,
        &account.username,
        account.name.as_ref().unwrap(),
        account.profile_picture_url.as_ref().unwrap(),
    ];
    assert!(needles.iter().all(|needle| !needle.is_empty() && stored.contains(*needle)));

    let mut answers = Vec::new();
    for _ in 0..2 {
        let removal = (person.as_str(), issued);
        let answer = post(&service, "/data-deletion", removal, &sandbox.app_secret).await;
        assert_eq!(answer.status(), 200);
        answers.push(answer.text().await.unwrap());
    }
    assert_eq!(answers[0], answers[1]);
    let answer: serde_json::Value = serde_json::from_str(&answers[0]).unwrap();
    let url = answer["url"].as_str().unwrap();
    let code = answer["confirmation_code"].as_str().unwrap();
    assert_eq!(url, format!("https://example.com/instagram/data-deletion/{code}"));
    let gone = service.get(get_request::Key::AccountId(id.clone())).await;
    assert_eq!(refusal(gone).reason, "ACCOUNT_NOT_FOUND");
    assert_eq!(told(&service, 2).await[1], (EventKind::Deleted, String::new()));

    let page = format!("{}/data-deletion/{code}", address(&service));
    let shown = async || client().get(&page).send().await.unwrap().text().await.unwrap();
    assert!(shown().await.contains("being deleted"));
    sandbox.advance(11).await;
    service.clock_follows(&sandbox).await;
    let is_over = async || shown().await.contains("Your data is deleted").then_some(());
    eventually("the deletion is over", is_over).await;
    eventually("nothing of the person is left", async || {
        let stored = place.everything().await;
        (!needles.iter().any(|needle| stored.contains(*needle))).then_some(())
    })
    .await;
    let audit = place.settings(&sandbox).arg("audit").output().unwrap();
    let audit = String::from_utf8(audit.stdout).unwrap();
    assert!(audit.contains("deleted") && !audit.contains(&id), "{audit}");
}
