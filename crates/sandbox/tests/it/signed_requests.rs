//! `/sandbox/deauthorize` and `/sandbox/data-deletion`: what is sent, how it is signed, and what becomes of tokens.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::Sha256;
use url::form_urlencoded;

use crate::harness::{APP_SECRET, me_path, parse, read, start};
use crate::receiver::{Received, Receiver};

/// Signature and payload of the one field of the form.
fn parts(received: &Received) -> (String, String) {
    let form: Vec<_> = form_urlencoded::parse(received.body.as_bytes()).collect();
    let [(name, value)] = form.as_slice() else { panic!("{}", received.body) };
    assert_eq!(name, "signed_request");
    let (signature, payload) = value.split_once('.').unwrap();
    (signature.to_owned(), payload.to_owned())
}

fn assert_signed(mac: &[u8], payload: &str, secret: &str) {
    let keyed = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    keyed.chain_update(payload).verify_slice(mac).unwrap();
}

fn decoded(payload: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[rstest]
#[case::deauthorize("deauthorize", "deauthorize")]
#[case::deletion("data-deletion", "data_deletion")]
#[tokio::test]
async fn a_person_is_named_by_the_app_scoped_id_at_the_sandboxs_time(
    #[case] path: &str,
    #[case] endpoint: &str,
) {
    let (sandbox, receiver) = (start().await, Receiver::start(200, "{\"ok\":1}").await);
    sandbox.post("clock", json!({ "now": "2031-01-01T00:00:00Z" })).await;
    let account = sandbox.account("mira.paints").await;
    let request = json!({ "url": receiver.url("/callback"), "username": "mira.paints" });
    let sent = sandbox.post(path, request).await;
    assert_eq!((&sent["status"], &sent["body"]), (&json!(200), &json!("{\"ok\":1}")));
    let request = receiver.one();
    assert_eq!(request.path, "/callback");
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    let (signature, payload) = parts(&request);
    assert_eq!(sent["signed_request"], format!("{signature}.{payload}"));
    assert_signed(&URL_SAFE_NO_PAD.decode(&signature).unwrap(), &payload, APP_SECRET);
    let payload = decoded(&payload);
    assert_eq!(
        (&payload["user_id"], &payload["algorithm"]),
        (&account["id"], &json!("HMAC-SHA256"))
    );
    assert!((0..60).contains(&(payload["issued_at"].as_i64().unwrap() - 1_924_992_000)));
    let log = sandbox.log().await;
    assert_eq!(
        (&log[0]["endpoint"], &log[0]["account"]),
        (&json!(endpoint), &json!("mira.paints"))
    );
}

#[tokio::test]
async fn time_secret_algorithm_and_padding_are_as_they_are_wanted() {
    let (sandbox, receiver) = (start().await, Receiver::start(400, "").await);
    let request = json!({
        "url": receiver.url("/"), "user_id": "77", "issued_at": 1_700_000_000, "secret": "former",
        "algorithm": "none", "padding": true,
    });
    assert_eq!(sandbox.post("deauthorize", request).await["status"], 400);
    let (signature, payload) = parts(&receiver.one());
    assert!(signature.ends_with('='));
    assert_signed(&URL_SAFE.decode(&signature).unwrap(), &payload, "former");
    let expected = json!({ "user_id": "77", "algorithm": "none", "issued_at": 1_700_000_000 });
    assert_eq!(decoded(&payload), expected);
}

#[tokio::test]
async fn the_persons_tokens_and_subscription_end_unless_they_are_to_stay() {
    let (sandbox, receiver) = (start().await, Receiver::start(200, "").await);
    let token = sandbox.short("mira.paints").await;
    let path = format!("/me/subscribed_apps?subscribed_fields=comments&access_token={token}");
    sandbox.request(Method::POST, &path).send().await.unwrap();
    let url = receiver.url("/");
    let stay = json!({ "url": url, "username": "mira.paints", "revoke": false });
    sandbox.post("data-deletion", stay).await;
    assert_eq!(sandbox.get(&me_path(&token)).await.0, 200);
    let user_id = sandbox.account("mira.paints").await["id"].clone();
    sandbox.post("data-deletion", json!({ "url": url, "user_id": user_id })).await;
    let (status, body) = sandbox.get(&me_path(&token)).await;
    assert_eq!((status, &parse(&body)["error"]["error_subcode"]), (400, &json!(458)));
    let token = sandbox.short("mira.paints").await;
    let (_, body) = sandbox.get(&format!("/me/subscribed_apps?access_token={token}")).await;
    assert_eq!(body, r#"{"data":[]}"#);
}

#[rstest]
#[case::nobody(json!({}))]
#[case::both(json!({ "username": "mira.paints", "user_id": "1" }))]
#[case::unknown(json!({ "username": "nobody" }))]
#[case::unknown_member(json!({ "user_id": "1", "expires": 1 }))]
#[case::tls(json!({ "user_id": "1", "url": "https://127.0.0.1:9/" }))]
#[tokio::test]
async fn a_senseless_request_is_refused_with_a_reason(#[case] more: Value) {
    let (sandbox, receiver) = (start().await, Receiver::start(200, "").await);
    let mut request = json!({ "url": receiver.url("/") });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let request = sandbox.request(Method::POST, "/sandbox/deauthorize").json(&request);
    let (status, body) = read(request.send().await.unwrap()).await;
    assert_eq!(status, 400);
    assert!(!parse(&body)["error"].as_str().unwrap().is_empty());
    assert!(receiver.all().is_empty());
}
