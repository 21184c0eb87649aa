//! `POST /oauth/access_token`: encodings, shapes, and the order of its refusals.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::harness::{
    APP_ID, APP_SECRET, REDIRECT_URI, access_token, parse, read, start, start_seeded,
};

fn flat(message: &str) -> (u16, String) {
    let body =
        format!(r#"{{"error_type":"OAuthException","code":400,"error_message":"{message}"}}"#);
    (400, body)
}

const REDIRECT_OR_SECRET: &str = "Error validating verification code. Please make sure your \
    redirect_uri is identical to the one you used in the OAuth dialog request";

#[rstest]
#[case::flat("flat", r#"{"access_token":T,"user_id":N,"permissions":["instagram_business_basic","instagram_business_manage_comments"]}"#)]
#[case::wrapped("wrapped", r#"{"data":[{"access_token":T,"user_id":N,"permissions":["instagram_business_basic","instagram_business_manage_comments"]}]}"#)]
#[case::documented("wrapped_documented", r#"{"data":[{"access_token":T,"user_id":"N","permissions":"instagram_business_basic,instagram_business_manage_comments"}]}"#)]
#[case::comma_string("flat_comma_string", r#"{"access_token":T,"user_id":N,"permissions":"instagram_business_basic,instagram_business_manage_comments"}"#)]
#[case::without_permissions("flat_without_permissions", r#"{"access_token":T,"user_id":N}"#)]
#[tokio::test]
async fn every_shape_is_served_with_the_exact_id(#[case] shape: &str, #[case] expected: &str) {
    let sandbox = start().await;
    sandbox.post("shapes", json!({ "token": shape })).await;
    let code = sandbox.code("mira.paints").await;
    let (status, body) = sandbox.exchange(&code).await;
    let id = sandbox.account("mira.paints").await["id"].as_str().unwrap().to_owned();
    let (before, rest) = body.split_once("\"IGAA").unwrap();
    let (token, after) = rest.split_once('"').unwrap();
    assert!(status == 200 && token.len() == 160);
    assert_eq!(format!("{before}T{after}"), expected.replace('N', &id));
}

#[tokio::test]
async fn a_multipart_form_is_read_like_a_plain_one() {
    let sandbox = start().await;
    let code = sandbox.code("mira.paints").await;
    let fields = [
        ("client_id", APP_ID),
        ("client_secret", APP_SECRET),
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT_URI),
        ("code", code.as_str()),
    ];
    let part = |(name, value)| {
        format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body: String = fields.map(part).concat() + "--edge--\r\n";
    let request = sandbox.request(Method::POST, "/v25.0/oauth/access_token");
    let request = request.header("content-type", "multipart/form-data; boundary=edge").body(body);
    let (status, body) = read(request.send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
}

#[rstest]
#[case::json("application/json", r#"{"client_id":"990000000000017"}"#)]
#[case::broken_multipart("multipart/form-data; boundary=edge", "--edge\r\nnonsense")]
#[case::nothing("application/x-www-form-urlencoded", "")]
#[tokio::test]
async fn a_body_that_instagram_does_not_read_counts_as_empty(
    #[case] content_type: &str,
    #[case] body: &'static str,
) {
    let sandbox = start().await;
    let request = sandbox.request(Method::POST, "/oauth/access_token");
    let request = request.basic_auth(APP_ID, Some(APP_SECRET));
    let request = request.header("content-type", content_type).body(body);
    assert_eq!(read(request.send().await.unwrap()).await, flat("Invalid platform app"));
}

#[tokio::test]
async fn refusals_come_in_their_order_and_a_refused_code_is_not_spent() {
    let sandbox = start().await;
    let code = sandbox.code("mira.paints").await;
    let mut changes = vec![
        ("client_id", "1"),
        ("grant_type", "password"),
        ("code", "AQnone"),
        ("redirect_uri", "https://other.example/"),
        ("client_secret", "wrong"),
    ];
    for message in [
        "Invalid platform app",
        "Invalid grant_type",
        "Invalid authorization code",
        REDIRECT_OR_SECRET,
        REDIRECT_OR_SECRET,
    ] {
        assert_eq!(sandbox.exchange_with(&code, &changes).await, flat(message));
        changes.remove(0);
    }
    assert_eq!(sandbox.exchange(&code).await.0, 200);
    let used = sandbox.exchange_with(&code, &[("client_secret", "wrong")]).await;
    assert_eq!(used, flat("This authorization code has been used"));
    sandbox.advance(3_600).await;
    assert_eq!(sandbox.exchange(&code).await, flat("This authorization code has been used"));
}

#[tokio::test]
async fn a_code_lives_for_an_hour_and_its_expiry_outranks_the_secret() {
    let sandbox = start().await;
    let code = sandbox.code("mira.paints").await;
    sandbox.advance(3_590).await;
    assert_eq!(sandbox.exchange(&code).await.0, 200);
    let code = sandbox.code("mira.paints").await;
    sandbox.advance(3_600).await;
    let refused = sandbox.exchange_with(&code, &[("client_secret", "wrong")]).await;
    assert_eq!(refused, flat("Matching code was not found or was already used"));
}

#[tokio::test]
async fn a_code_that_kept_its_fragment_is_unknown() {
    let sandbox = start().await;
    let code = sandbox.code("mira.paints").await;
    let refused = sandbox.exchange(&format!("{code}#_")).await;
    assert_eq!(refused, flat("Invalid authorization code"));
}

#[tokio::test]
async fn two_at_once_get_one_token() {
    let sandbox = start().await;
    let code = sandbox.code("mira.paints").await;
    let (one, other) = tokio::join!(sandbox.exchange(&code), sandbox.exchange(&code));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

#[tokio::test]
async fn the_seed_decides_ids_codes_and_tokens() {
    let mut seen = Vec::new();
    for seed in ["7", "7", "8"] {
        let sandbox = start_seeded(seed).await;
        let code = sandbox.code("plain_shop").await;
        let (_, body) = sandbox.exchange(&code).await;
        seen.push((code, access_token(&body), parse(&body)["user_id"].as_u64().unwrap()));
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].0 != seen[2].0 && seen[0].1 != seen[2].1 && seen[0].2 != seen[2].2);
}
