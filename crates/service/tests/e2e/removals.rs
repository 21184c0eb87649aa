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
use crate::support::{On, Place, Sandbox, Service, Stack, arrival, refusal};

const SETTINGS: [(&str, &str); 2] =
    [("HTTP_LISTEN", "127.0.0.1:0"), ("PUBLIC_URL", "https://example.com/instagram")];

/// Sends a deauthorize callback for the person, issued at this second and signed by `secret`; returns the status.
async fn deauthorize(service: &Service, person: &str, issued: i64, secret: &str) -> u16 {
    let line = service.process.line_with("calls back are answered");
    assert!(line.contains("https://example.com/instagram/deauthorize"), "{line}");
    let address = address_in(&line).expect("the line names the address");
    let payload = format!(
        r#"{{"algorithm":"HMAC-SHA256","expires":0,"issued_at":{issued},"user_id":"{person}"}}"#
    );
    let payload = BASE64_URL_SAFE_NO_PAD.encode(payload);
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let mac = mac.chain_update(&payload).finalize().into_bytes();
    let signed_request = format!("{}.{payload}", BASE64_URL_SAFE_NO_PAD.encode(mac));
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{address}/deauthorize"));
    let request = request.form(&[("signed_request", signed_request)]);
    request.send().await.unwrap().status().as_u16()
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
