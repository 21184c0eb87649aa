//! `/me/subscribed_apps` and `/{id}/subscribed_apps`.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::harness::{graph_error, parse, read, start, without_trace};

#[tokio::test]
async fn a_subscription_is_set_listed_and_ended_by_either_id() {
    let sandbox = start().await;
    let token = sandbox.short("mira.paints").await;
    let account = sandbox.account("mira.paints").await;
    let by_me = format!("/me/subscribed_apps?access_token={token}");
    let by_id = format!("/v25.0/{}/subscribed_apps", account["user_id"].as_str().unwrap());
    assert_eq!(sandbox.get(&by_me).await, (200, r#"{"data":[]}"#.to_owned()));
    let form = [("subscribed_fields", "live_comments,comments"), ("access_token", &token)];
    let request = sandbox.request(Method::POST, &by_id).form(&form);
    let success = (200, r#"{"success":true}"#.to_owned());
    assert_eq!(read(request.send().await.unwrap()).await, success);
    let (_, body) = sandbox.get(&by_me).await;
    let listed = json!({ "data": [{ "subscribed_fields": ["comments", "live_comments"] }] });
    assert_eq!(parse(&body), listed);
    let request = sandbox.request(Method::DELETE, &by_me);
    assert_eq!(read(request.send().await.unwrap()).await, success);
    assert_eq!(sandbox.get(&by_me).await.1, r#"{"data":[]}"#);
}

#[rstest]
#[case::no_fields("", 400, 100, "(#100) The parameter subscribed_fields is required")]
#[case::unknown("likes", 400, 100, "(#100) Param subscribed_fields has an unknown value: likes")]
#[case::not_granted(
    "messages",
    403,
    10,
    "(#10) Application does not have permission for this action"
)]
#[tokio::test]
async fn only_fields_that_the_grant_covers_can_be_subscribed(
    #[case] fields: &str,
    #[case] expected: u16,
    #[case] code: u32,
    #[case] message: &str,
) {
    let sandbox = start().await;
    let token = sandbox.short("mira.paints").await;
    let path = format!("/me/subscribed_apps?subscribed_fields={fields}&access_token={token}");
    let (status, body) = read(sandbox.request(Method::POST, &path).send().await.unwrap()).await;
    assert_eq!(status, expected);
    assert_eq!(without_trace(&body), graph_error(message, "OAuthException", code, None));
}
