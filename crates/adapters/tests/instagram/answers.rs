//! Answers as the client reads them: over HTTP, from the first byte to the port's types.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use ig_domain::ports::InstagramErrorKind::{
    AppMisconfigured, CodeRejected, RateLimited, RedirectUriRejected, TokenRejected, Unavailable,
    Unexpected, Unreadable,
};
use ig_domain::ports::{GraphFacts, Instagram, InstagramErrorKind};
use ig_domain::{AccountType, GrantedScopes, LongLivedToken, ReauthorizationReason, Scope};
use rstest::rstest;
use wiremock::ResponseTemplate;

use super::{CODE, Call, LONG_LIVED, REDIRECT_URI, answering, json};

#[rstest]
#[case::wrapped_text(r#"{"data":[{"access_token":"IGAA1","user_id":"26100000000012345","permissions":"instagram_business_basic"}]}"#, true)]
#[case::wrapped_number(r#"{"data":[{"access_token":"IGAA1","user_id":26100000000012345,"permissions":["instagram_business_basic"]}]}"#, true)]
#[case::flat(r#"{"access_token":"IGAA1","user_id":26100000000012345,"permissions":["instagram_business_basic"]}"#, true)]
#[case::old(r#"{"access_token":"IGAA1","user_id":26100000000012345}"#, false)]
#[tokio::test]
async fn a_code_becomes_a_token_an_exact_id_and_permissions(
    #[case] body: &str,
    #[case] known: bool,
) {
    let (_server, client) = answering(json(200, body)).await;
    let code = CODE.parse().unwrap();
    let answer = client.exchange_code(&code, &REDIRECT_URI.parse().unwrap()).await.unwrap();
    assert_eq!(answer.token.text().expose(), "IGAA1");
    assert_eq!(answer.user_id.unwrap().as_str(), "26100000000012345");
    let granted = GrantedScopes::Known([Scope::basic()].into());
    assert_eq!(answer.granted_scopes, if known { granted } else { GrantedScopes::Unknown });
}

#[tokio::test]
async fn a_renewal_brings_the_token_and_the_life_that_instagram_states() {
    let body = r#"{"access_token":"IGAA2","token_type":"bearer","expires_in":5183944}"#;
    let (_server, client) = answering(json(200, body)).await;
    let token = LongLivedToken::new(LONG_LIVED.parse().unwrap());
    let (renewed, lifetime) = client.renew_token(&token).await.unwrap();
    assert_eq!(renewed.text().expose(), "IGAA2");
    assert_eq!(lifetime.as_duration(), Duration::from_secs(5_183_944));
}

#[tokio::test]
async fn a_profile_keeps_its_two_ids_apart() {
    let body = r#"{"id":"26100000000012345","user_id":"17841400000000001","username":"Cafe.Luna",
        "account_type":"Media_Creator","followers_count":3}"#;
    let (_server, client) = answering(json(200, body)).await;
    let profile = client.profile(&LONG_LIVED.parse().unwrap()).await.unwrap();
    assert_eq!(profile.professional_account_id.as_str(), "17841400000000001");
    assert_eq!(profile.app_scoped_user_id.unwrap().as_str(), "26100000000012345");
    assert_eq!(profile.username.as_str(), "cafe.luna");
    assert_eq!((profile.account_type, profile.followers_count), (AccountType::Creator, Some(3)));
}

#[rstest]
#[case::none(r#"{"data":[]}"#, &[])]
#[case::some(r#"{"data":[{"subscribed_fields":["messages","comments"]}]}"#, &["comments", "messages"])]
#[case::in_two_entries(
    r#"{"data":[{"id":"1"},{"subscribed_fields":["comments",7]},{"subscribed_fields":["messages"]}]}"#,
    &["comments", "messages"]
)]
#[tokio::test]
async fn a_subscription_is_known_by_its_fields(#[case] body: &str, #[case] expected: &[&str]) {
    let (_server, client) = answering(json(200, body)).await;
    let fields = client.subscription(&LONG_LIVED.parse().unwrap()).await.unwrap();
    assert_eq!(fields.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[rstest]
#[case::set(Call::Subscribe)]
#[case::ended(Call::Unsubscribe)]
#[tokio::test]
async fn a_subscription_is_set_or_ended_where_instagram_says_so(#[case] call: Call) {
    for (body, expected) in [
        (r#"{"success":true}"#, None),
        (r#"{"success":false}"#, Some(Unexpected)),
        ("{}", Some(Unreadable)),
        (r#"{"success":"yes"}"#, Some(Unreadable)),
    ] {
        let (_server, client) = answering(json(200, body)).await;
        assert_eq!(call.make(&client).await.err().map(|error| error.kind), expected, "{body}");
    }
}

#[rstest]
#[case::no_list_of_fields(
    Call::Subscription,
    200,
    r#"{"subscribed_fields":["comments"]}"#,
    Unreadable
)]
#[case::no_permission(Call::Subscribe, 403,
    r#"{"error":{"message":"(#10) Application does not have permission for this action","type":"OAuthException","code":10}}"#, AppMisconfigured)]
#[case::refused_code(Call::Exchange, 400,
    r#"{"error_type":"OAuthException","code":400,"error_message":"This authorization code has been used"}"#, CodeRejected)]
#[case::redirect_uri(Call::Exchange, 400,
    r#"{"error_type":"OAuthException","code":400,"error_message":"Error validating verification code. Please make sure your redirect_uri is identical"}"#, RedirectUriRejected)]
#[case::error_under_success(
    Call::Exchange,
    200,
    r#"{"error_type":"OAuthException","code":400,"error_message":"Invalid platform app"}"#,
    AppMisconfigured
)]
#[case::success_without_token(Call::Exchange, 200, r#"{"user_id":1}"#, Unreadable)]
#[case::dead_token(
    Call::Renew,
    400,
    r#"{"error":{"message":"Some text.","type":"OAuthException","code":190,"error_subcode":463}}"#,
    TokenRejected(ReauthorizationReason::TokenExpired)
)]
#[case::app_refused(Call::Extend, 400,
    r#"{"error":{"message":"Unsupported request - method type: get","type":"IGApiException","code":100}}"#, AppMisconfigured)]
#[case::no_lifetime(Call::Extend, 200, r#"{"access_token":"IGAA2"}"#, Unreadable)]
#[case::no_user_id(
    Call::Profile,
    200,
    r#"{"id":"26100000000012345","username":"cafe.luna"}"#,
    Unreadable
)]
#[case::unknown_path_as_outage(
    Call::Profile,
    500,
    r#"{"error":{"message":"Unknown path components","type":"OAuthException","code":2500}}"#,
    Unexpected
)]
#[tokio::test]
async fn a_refusal_is_classified_and_not_asked_for_again(
    #[case] call: Call,
    #[case] status: u16,
    #[case] body: &str,
    #[case] expected: InstagramErrorKind,
) {
    let (server, client) = answering(json(status, body)).await;
    assert_eq!(call.make(&client).await.unwrap_err().kind, expected);
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[rstest]
#[case::own_trouble(r#"{"error":{"message":"An unknown error occurred","code":1}}"#)]
#[case::service(r#"{"error":{"message":"Service temporarily unavailable","code":2}}"#)]
#[case::transient(r#"{"error":{"message":"Some text.","code":190,"is_transient":true}}"#)]
#[case::page("<html>Sorry, something went wrong.</html>")]
#[tokio::test]
async fn an_outage_is_asked_again_only_where_that_is_harmless(
    #[case] body: &str,
    #[values((Call::Exchange, 1), (Call::Extend, 3), (Call::Renew, 3), (Call::Profile, 3), (Call::Subscribe, 3))]
    tries: (Call, usize),
) {
    let (server, client) = answering(json(500, body)).await;
    assert_eq!(tries.0.make(&client).await.unwrap_err().kind, Unavailable);
    assert_eq!(server.received_requests().await.unwrap().len(), tries.1);
}

#[rstest]
#[tokio::test]
async fn throttling_is_not_asked_again_and_names_its_pause(
    #[values(Call::Exchange, Call::Extend, Call::Renew, Call::Profile)] call: Call,
) {
    let usage =
        r#"{"17":[{"type":"instagram","call_count":100,"estimated_time_to_regain_access":9}]}"#;
    let body =
        r#"{"error":{"code":4,"error_subcode":1349210,"is_transient":true,"fbtrace_id":"AbC"}}"#;
    let answer = json(403, body).insert_header("x-business-use-case-usage", usage);
    let (server, client) = answering(answer).await;
    let error = call.make(&client).await.unwrap_err();
    assert_eq!(error.kind, RateLimited { retry_after: Duration::from_mins(9) });
    let fbtrace_id = Some("AbC".to_owned());
    assert_eq!(error.facts, GraphFacts { code: Some(4), subcode: Some(1_349_210), fbtrace_id });
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[rstest]
#[case::success(200, Unreadable)]
#[case::refusal(400, Unexpected)]
#[tokio::test]
async fn an_answer_of_more_than_a_mebibyte_is_not_read(
    #[case] status: u16,
    #[case] expected: InstagramErrorKind,
) {
    let padding = " ".repeat(1024 * 1024);
    let body = format!(r#"{{"access_token":"IGAA1","user_id":1}}{padding}"#);
    let (_server, client) = answering(ResponseTemplate::new(status).set_body_string(body)).await;
    assert_eq!(Call::Exchange.make(&client).await.unwrap_err().kind, expected);
}

/// `/me` with faults in all that is only shown, and in what is not read.
fn broken_profile() -> Vec<u8> {
    let fields = [
        r#"{"id":"26100000000012345","user_id":"17841400000000001","username":"cafe.luna","#
            .as_bytes(),
        b"\"name\":\"Caf\xe9\n Luna \\ud83d\",\"biography\":\"\xff\\ude00\0\",",
        br#""profile_picture_url":"https://cdn.example.com/\ud83d","followers_count":1e999,"#,
        br#""account_type":["BUSINESS"],"media_count":7}"#,
    ];
    fields.concat()
}

#[tokio::test]
async fn what_is_only_shown_never_costs_the_account() {
    let (_server, client) =
        answering(ResponseTemplate::new(200).set_body_bytes(broken_profile())).await;
    let profile = client.profile(&LONG_LIVED.parse().unwrap()).await.unwrap();
    assert_eq!(profile.professional_account_id.as_str(), "17841400000000001");
    assert_eq!(profile.app_scoped_user_id.unwrap().as_str(), "26100000000012345");
    assert_eq!(profile.name.as_deref(), Some("Caf\u{fffd} Luna \u{fffd}"));
    assert_eq!((profile.profile_picture_url, profile.followers_count), (None, None));
    assert_eq!((profile.account_type, profile.media_count), (AccountType::Unknown, Some(7)));
}

#[tokio::test]
async fn a_message_that_is_broken_leaves_its_code() {
    let body = br#"{"error":{"message":"Session \ud83d expired","code":190,"error_subcode":463}}"#;
    let answer = ResponseTemplate::new(400).set_body_bytes(body.as_slice());
    let (_server, client) = answering(answer).await;
    let error = Call::Renew.make(&client).await.unwrap_err();
    assert_eq!(error.kind, TokenRejected(ReauthorizationReason::TokenExpired));
    assert_eq!(error.facts.subcode, Some(463));
}

#[rstest]
#[case::success(200, "{\"access_token\":\"IGAA1\"}", None)]
#[case::refusal(400, "{\"error_message\":\"Invalid authorization code\"}", Some(CodeRejected))]
#[tokio::test]
async fn an_answer_that_is_compressed_unasked_is_read(
    #[case] status: u16,
    #[case] body: &str,
    #[case] expected: Option<InstagramErrorKind>,
) {
    let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
    compressed.write_all(body.as_bytes()).unwrap();
    let answer = ResponseTemplate::new(status)
        .insert_header("content-encoding", "gzip")
        .set_body_bytes(compressed.finish().unwrap());
    let (_server, client) = answering(answer).await;
    assert_eq!(Call::Exchange.make(&client).await.err().map(|error| error.kind), expected);
}

#[tokio::test]
async fn a_small_answer_that_expands_beyond_a_mebibyte_is_not_read() {
    let mut compressed = GzEncoder::new(Vec::new(), Compression::best());
    compressed.write_all(br#"{"access_token":"IGAA1"}"#).unwrap();
    compressed.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    let answer = ResponseTemplate::new(200).set_body_bytes(compressed.finish().unwrap());
    let (_server, client) = answering(answer).await;
    assert_eq!(Call::Exchange.make(&client).await.unwrap_err().kind, Unreadable);
}
