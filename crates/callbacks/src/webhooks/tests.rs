//! Webhooks over a store in memory.

use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::BodyExt as _;
use ig_domain::ports::{EventLog as _, Webhooks as _};
use ig_metrics::TextFormat;
use rstest::rstest;

use super::*;
use crate::WEBHOOKS;
use crate::tests::World;

const ACCOUNT: &str = "17841400000000001";

/// The signature header of a body under `secret`.
fn signature(body: &[u8], secret: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let mac = mac.chain_update(body).finalize().into_bytes();
    let digits: Vec<_> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={}", digits.concat())
}

/// A message to the account of the world.
fn message(mid: &str) -> String {
    let item = format!(r#"{{"sender":{{"id":"7"}},"message":{{"mid":"{mid}","text":"\u00e9"}}}}"#);
    format!(r#"{{"object":"instagram","entry":[{{"id":"{ACCOUNT}","messaging":[{item}]}}]}}"#)
}

impl World {
    async fn post(&self, body: impl Into<Body>, signatures: &[&str]) -> Response {
        let mut request = Request::builder().method(Method::POST).uri(WEBHOOKS);
        for signature in signatures {
            request = request.header("x-hub-signature-256", *signature);
        }
        self.answer(request.body(body.into()).unwrap()).await
    }

    /// Sends what `secret` signs; returns the status.
    async fn deliver(&self, body: &str, secret: &str) -> u16 {
        let signature = signature(body.as_bytes(), secret);
        self.post(body.to_owned(), &[&signature]).await.status().as_u16()
    }

    /// Number of updates in the store.
    async fn updates(&self) -> usize {
        while self.store.number_waiting().await.unwrap() > 0 {}
        let numbers: Vec<_> = self.store.events().iter().map(|event| event.number).collect();
        self.store.payloads(&numbers).await.unwrap().len()
    }

    async fn check(&self, query: &str) -> (u16, String) {
        let uri = format!("{WEBHOOKS}?{query}");
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        let response = self.answer(request).await;
        let status = response.status().as_u16();
        if status == 200 {
            assert_eq!(response.headers()["content-type"], "text/plain");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn updates_are_stored_once_under_every_accepted_secret() {
    let world = World::with_account(ACCOUNT);
    for (mid, secret) in [("1", "new"), ("2", "former"), ("1", "former"), ("2", "new")] {
        assert_eq!(world.deliver(&message(mid), secret).await, 200);
    }
    assert_eq!(world.deliver(&message("3"), "other").await, 401);
    assert_eq!(world.updates().await, 2);
    let counted = world.registry.text(TextFormat::Classic).unwrap();
    for line in [
        r#"test_webhook_signatures_total{secret="first"} 2"#,
        r#"test_webhook_signatures_total{secret="second"} 2"#,
        r#"test_webhook_signatures_total{secret="none"} 1"#,
        r#"test_callback_requests_total{endpoint="webhooks",status="200"} 4"#,
        r#"test_callback_requests_total{endpoint="webhooks",status="401"} 1"#,
    ] {
        assert!(counted.contains(line), "{line}\n{counted}");
    }
}

#[tokio::test]
async fn the_answer_has_no_body_and_updates_of_nobody_are_answered_too() {
    let world = World::with_account(ACCOUNT);
    for body in [message("1"), message("1").replace(ACCOUNT, "9"), "[]".to_owned(), "7".to_owned()]
    {
        let signature = signature(body.as_bytes(), "new");
        let response = world.post(body, &[&signature]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    assert_eq!(world.updates().await, 1);
}

#[tokio::test]
async fn what_is_badly_signed_or_no_json_changes_nothing() {
    let world = World::with_account(ACCOUNT);
    let body = message("1");
    let good = signature(body.as_bytes(), "new");
    for signatures in [
        &[][..],
        &[""],
        &["sha256="],
        &[good.split_at(70).0],
        &[&good.replace("sha256", "sha1")],
        &[&good, &good],
        &[&signature(b"else", "new")],
        &[&signature(body.as_bytes(), "")],
    ] {
        let status = world.post(body.clone(), signatures).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{signatures:?}");
    }
    for changed in [format!("{body} "), body.replace("\\u00e9", "é"), body.split_at(1).1.to_owned()]
    {
        let status = world.post(changed, &[&good]).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.deliver("", "new").await, 400);
    assert_eq!(world.deliver(body.split_at(1).1, "new").await, 400);
    let binary = b"\xff\xfe".to_vec();
    let signature = signature(&binary, "new");
    assert_eq!(world.post(binary, &[&signature]).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(world.updates().await, 0);
}

#[tokio::test]
async fn nothing_signs_where_no_secret_is_accepted() {
    let world = World::accepting(&[]);
    assert_eq!(world.deliver(&message("1"), "new").await, 401);
    assert_eq!(world.deliver(&message("1"), "").await, 401);
}

#[tokio::test]
async fn a_batch_above_four_mebibytes_or_ten_thousand_updates_is_refused() {
    let world = World::with_account(ACCOUNT);
    let padded = |size: usize| {
        let body = message("1");
        let blanks = " ".repeat(size - body.len());
        body + &blanks
    };
    assert_eq!(world.deliver(&padded(MAX_WEBHOOK + 1), "new").await, 413);
    let many = message("1")
        .replace(r#""messaging":["#, &format!(r#""messaging":[{}"#, "{},".repeat(10_000)));
    assert_eq!(world.deliver(&many, "new").await, 413);
    assert_eq!(world.updates().await, 0);
    assert_eq!(world.deliver(&padded(MAX_WEBHOOK), "new").await, 200);
    assert_eq!(world.updates().await, 1);
}

/// One without a signature is not read, and has no place of the large ones.
#[tokio::test]
async fn a_body_without_a_signature_is_refused_whatever_its_size() {
    let world = World::with_account(ACCOUNT);
    for _ in 0..20 {
        let response = world.post(vec![b'x'; MAX_WEBHOOK], &[]).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["connection"], "close");
    }
}

#[tokio::test]
async fn without_the_store_meta_is_to_send_again() {
    let world = World::with_account(ACCOUNT);
    world.store.set_away(true);
    let body = message("1");
    let response = world.post(body.clone(), &[&signature(body.as_bytes(), "new")]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    world.store.set_away(false);
    assert_eq!(world.deliver(&body, "new").await, 200);
    assert_eq!(world.updates().await, 1);
}

#[rstest]
#[case::right("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=tok%20en", 200)]
#[case::all_characters("hub.mode=subscribe&hub.challenge=aZ0-_&hub.verify_token=tok+en&x=1", 200)]
#[case::wrong_mode("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=tok+en", 403)]
#[case::no_mode("hub.challenge=1&hub.verify_token=tok+en", 403)]
#[case::wrong_token("hub.mode=subscribe&hub.challenge=1&hub.verify_token=token", 403)]
#[case::empty_token("hub.mode=subscribe&hub.challenge=1&hub.verify_token=", 403)]
#[case::no_token("hub.mode=subscribe&hub.challenge=1", 403)]
#[case::token_twice(
    "hub.mode=subscribe&hub.challenge=1&hub.verify_token=tok+en&hub.verify_token=tok+en",
    403
)]
#[case::mode_twice(
    "hub.mode=subscribe&hub.mode=subscribe&hub.challenge=1&hub.verify_token=tok+en",
    403
)]
#[case::no_challenge("hub.mode=subscribe&hub.verify_token=tok+en", 400)]
#[case::empty_challenge("hub.mode=subscribe&hub.challenge=&hub.verify_token=tok+en", 400)]
#[case::markup("hub.mode=subscribe&hub.challenge=%3Cb%3E&hub.verify_token=tok+en", 400)]
#[case::challenge_twice(
    "hub.mode=subscribe&hub.challenge=1&hub.challenge=1&hub.verify_token=tok+en",
    400
)]
#[case::nothing("", 403)]
#[tokio::test]
async fn the_check_is_answered_with_its_challenge(#[case] query: &str, #[case] expected: u16) {
    let world = World::accepting(&["new"]);
    let (status, body) = world.check(query).await;
    assert_eq!(status, expected);
    let challenge = only_value(query, "hub.challenge").filter(|_| expected == 200);
    assert_eq!(body, challenge.unwrap_or_default());
}

#[tokio::test]
async fn a_challenge_of_256_characters_is_the_longest() {
    let world = World::accepting(&["new"]);
    for (length, status) in [(256, 200), (257, 400)] {
        let challenge = "9".repeat(length);
        let query = format!("hub.mode=subscribe&hub.challenge={challenge}&hub.verify_token=tok+en");
        assert_eq!(world.check(&query).await.0, status);
    }
}

#[tokio::test]
async fn no_check_is_answered_where_no_token_is_set() {
    let world = World::without_verify_token();
    for token in ["", "tok+en"] {
        let query = format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={token}");
        assert_eq!(world.check(&query).await.0, 403);
    }
}

#[tokio::test]
async fn head_does_nothing_and_other_methods_are_not_allowed() {
    let world = World::accepting(&["new"]);
    let answer = async |method| {
        let request = Request::builder().method(method).uri(WEBHOOKS).body(Body::empty());
        world.answer(request.unwrap()).await.status().as_u16()
    };
    assert_eq!(answer(Method::HEAD).await, 200);
    assert_eq!(answer(Method::PUT).await, 405);
    assert_eq!(answer(Method::DELETE).await, 405);
}
