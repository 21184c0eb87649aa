//! `GET /me` and `GET /{id}`: fields, ids, headers and refusals.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::harness::{
    exchange_path, graph_error, me_path, read, refresh_path, start, without_trace,
};

const IG: &str = "IGApiException";

#[tokio::test]
async fn fields_come_as_they_were_asked_for_and_id_always() {
    let sandbox = start().await;
    let token = sandbox.short("harbour.bakery").await;
    let account = sandbox.account("harbour.bakery").await;
    let (id, user_id) = (account["id"].as_str().unwrap(), account["user_id"].as_str().unwrap());
    for (fields, expected) in [
        ("", format!(r#"{{"id":"{id}"}}"#)),
        ("?fields=user_id", format!(r#"{{"user_id":"{user_id}","id":"{id}"}}"#)),
        (
            "?fields=username,%20id,username,,account_type,media_count&fields=user_id,username",
            format!(
                r#"{{"username":"harbour.bakery","id":"{id}","account_type":"BUSINESS","media_count":428,"user_id":"{user_id}"}}"#
            ),
        ),
        (
            "?fields=name,followers_count,follows_count,biography",
            format!(
                r#"{{"name":"Harbour Bakery","followers_count":12840,"follows_count":310,"id":"{id}"}}"#
            ),
        ),
    ] {
        for path in ["/me".to_owned(), format!("/v25.0/{id}"), format!("/{user_id}")] {
            let request = sandbox.request(Method::GET, &format!("{path}{fields}"));
            let response = request.bearer_auth(&token).send().await.unwrap();
            assert_eq!(read(response).await, (200, expected.clone()));
        }
    }
}

#[tokio::test]
async fn the_wrapped_shape_keeps_the_order() {
    let sandbox = start().await;
    let token = sandbox.short("plain_shop").await;
    sandbox.post("shapes", json!({ "me": "wrapped" })).await;
    let id = sandbox.account("plain_shop").await["id"].clone();
    let path = format!("/me?fields=username,name,profile_picture_url&access_token={token}");
    let (_, body) = sandbox.get(&path).await;
    assert_eq!(body, format!(r#"{{"data":[{{"username":"plain_shop","id":{id}}}]}}"#));
}

#[rstest]
#[case::documented("documented", "x-app-usage", "\"call_count\":")]
#[case::live("live", "x-app-usage", "\"call_volume\":")]
#[case::business(
    "business_use_case",
    "x-business-use-case-usage",
    "\"estimated_time_to_regain_access\":0"
)]
#[tokio::test]
async fn usage_headers_come_in_the_wanted_shape(
    #[case] shape: &str,
    #[case] header: &str,
    #[case] content: &str,
) {
    let sandbox = start().await;
    let token = sandbox.short("plain_shop").await;
    sandbox.post("shapes", json!({ "usage": shape })).await;
    let response = sandbox.request(Method::GET, &me_path(&token)).send().await.unwrap();
    let value = response.headers()[header].to_str().unwrap();
    assert!(value.contains(content), "{value}");
    serde_json::from_str::<serde_json::Value>(value).unwrap();
    sandbox.post("shapes", json!({ "usage_percent": 83 })).await;
    let response = sandbox.request(Method::GET, &me_path(&token)).send().await.unwrap();
    let value = response.headers()[header].to_str().unwrap();
    assert!(value.contains("\":83,"), "{value}");
    sandbox.post("shapes", json!({ "usage": "none" })).await;
    let response = sandbox.request(Method::GET, &me_path(&token)).send().await.unwrap();
    assert!(!response.headers().keys().any(|name| name.as_str().contains("usage")));
}

#[tokio::test]
async fn the_token_in_the_query_wins_over_the_header() {
    let sandbox = start().await;
    let token = sandbox.short("plain_shop").await;
    let with = async |query: &str, bearer: &str| {
        let request = sandbox.request(Method::GET, &format!("/me?access_token={query}"));
        read(request.bearer_auth(bearer).send().await.unwrap()).await.0
    };
    assert_eq!(with(&token, "nonsense").await, 200);
    assert_eq!(with("nonsense", &token).await, 400);
    assert_eq!(with("", &token).await, 400);
}

#[rstest]
#[case::no_token("GET", "/me", 400, "Unsupported request - method type: get", IG, 100, None)]
#[case::empty_token(
    "GET",
    "/me?access_token=",
    400,
    "Unsupported request - method type: get",
    IG,
    100,
    None
)]
#[case::no_token_at_exchange(
    "GET",
    "/access_token?grant_type=ig_exchange_token",
    400,
    "Unsupported request - method type: get",
    IG,
    100,
    None
)]
#[case::post(
    "POST",
    "/me?access_token=T",
    400,
    "Unsupported request - method type: post",
    IG,
    100,
    None
)]
#[case::post_at_exchange(
    "POST",
    "/access_token?access_token=T",
    400,
    "Unsupported request - method type: post",
    IG,
    100,
    None
)]
#[case::post_at_refresh(
    "POST",
    "/refresh_access_token?access_token=T",
    400,
    "Unsupported request - method type: post",
    IG,
    100,
    None
)]
#[case::alien_token(
    "GET",
    "/me?access_token=EAAB",
    400,
    "Invalid OAuth access token - Cannot parse access token",
    "OAuthException",
    190,
    None
)]
#[case::unknown_path(
    "GET",
    "/me/friends?access_token=T",
    500,
    "Unknown path components: /friends",
    "OAuthException",
    2500,
    None
)]
#[case::posts_are_not_listed(
    "GET",
    "/me/media?access_token=T",
    400,
    "Unsupported request - method type: get",
    IG,
    100,
    None
)]
#[case::unknown_field(
    "GET",
    "/me?fields=shoe_size&access_token=T",
    400,
    "(#100) Tried accessing nonexisting field (shoe_size) on node type (IGUser)",
    "OAuthException",
    100,
    None
)]
#[case::somebody_else(
    "GET",
    "/v25.0/17?access_token=T",
    400,
    "Unsupported get request. Object with ID '17' does not exist, cannot be loaded due to missing permissions, or does not support this operation. Please read the Graph API documentation at https://developers.facebook.com/docs/graph-api",
    IG,
    100,
    Some(33)
)]
#[tokio::test]
async fn refusals_have_the_documented_bytes(
    #[case] method: Method,
    #[case] path: &str,
    #[case] expected: u16,
    #[case] message: &str,
    #[case] kind: &str,
    #[case] code: u32,
    #[case] subcode: Option<u32>,
) {
    let sandbox = start().await;
    let token = sandbox.short("plain_shop").await;
    let path = path.replace("=T", &format!("={token}"));
    let (status, body) = read(sandbox.request(method, &path).send().await.unwrap()).await;
    assert_eq!(status, expected);
    assert_eq!(without_trace(&body), graph_error(message, kind, code, subcode));
}

#[tokio::test]
async fn the_profile_needs_the_basic_permission() {
    let sandbox = start().await;
    let token = sandbox.short_for("plain_shop", "").await;
    let (status, body) = sandbox.get(&me_path(&token)).await;
    let message = "(#10) Application does not have permission for this action";
    assert_eq!(
        (status, without_trace(&body)),
        (403, graph_error(message, "OAuthException", 10, None))
    );
}

#[tokio::test]
async fn a_restricted_app_is_turned_away_by_everything_until_it_is_not() {
    let sandbox = start().await;
    let (short, long) = (sandbox.short("plain_shop").await, sandbox.long("plain_shop").await);
    let code = sandbox.code("plain_shop").await;
    sandbox.advance(86_400 - 3_600 + 10).await;
    sandbox.post("app", json!({ "state": "restricted" })).await;
    let refusal = |method| {
        let message = format!("Unsupported request - method type: {method}");
        (400, graph_error(&message, IG, 100, None))
    };
    for path in [me_path(&long), exchange_path(&short), refresh_path(&long)] {
        let (status, body) = sandbox.get(&path).await;
        assert_eq!((status, without_trace(&body)), refusal("get"));
    }
    let (status, body) = sandbox.exchange(&code).await;
    assert_eq!((status, without_trace(&body)), refusal("post"));
    sandbox.post("app", json!({ "state": "ok" })).await;
    assert_eq!(sandbox.get(&me_path(&long)).await.0, 200);
}
