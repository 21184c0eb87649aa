//! Every error of Instagram that is documented or was seen, and what it means for us.

use proptest::prelude::*;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::instagram::endpoint::Endpoint::{CodeExchange, Profile, TokenExtension, TokenRenewal};

const MINUTE: InstagramErrorKind = RateLimited { retry_after: Duration::from_mins(1) };
const HOUR: InstagramErrorKind = RateLimited { retry_after: Duration::from_hours(1) };

fn refused(endpoint: Endpoint, status: u16, body: &str) -> InstagramErrorKind {
    let status = StatusCode::from_u16(status).unwrap();
    accept(endpoint, status, &HeaderMap::new(), Some(body.as_bytes())).unwrap_err().kind
}

#[rstest]
#[case::unknown_error(1, None, Unavailable)]
#[case::service(2, None, Unavailable)]
#[case::app_throttled(4, None, MINUTE)]
#[case::user_throttled(17, None, MINUTE)]
#[case::page_throttled(32, None, MINUTE)]
#[case::application_limit(341, None, MINUTE)]
#[case::custom_throttle(613, None, MINUTE)]
#[case::business_use_case(80_002, None, MINUTE)]
#[case::blocked_for_abuse(368, None, HOUR)]
#[case::capability(3, None, AppMisconfigured)]
#[case::no_permission(10, None, AppMisconfigured)]
#[case::unknown_app(101, None, AppMisconfigured)]
#[case::outside_messaging_window(10, Some(2_534_022), AppMisconfigured)]
#[case::first_permission(200, None, AppMisconfigured)]
#[case::last_permission(299, None, AppMisconfigured)]
#[case::beyond_permissions(300, None, Unexpected)]
#[case::parameter(100, None, Unexpected)]
#[case::object_missing(100, Some(33), Unexpected)]
#[case::unknown_path(2_500, None, Unexpected)]
#[case::new_code(9_999, None, Unexpected)]
#[case::session(102, None, TokenRejected(TokenRevoked))]
#[case::session_key(452, None, SessionUnknown)]
#[case::no_subcode(190, None, TokenRejected(TokenRevoked))]
#[case::app_removed(190, Some(458), TokenRejected(TokenRevoked))]
#[case::checkpoint(190, Some(459), TokenRejected(Checkpoint))]
#[case::password_changed(190, Some(460), TokenRejected(PasswordChanged))]
#[case::expired(190, Some(463), TokenRejected(TokenExpired))]
#[case::unconfirmed_user(190, Some(464), TokenRejected(Checkpoint))]
#[case::invalidated(190, Some(466), TokenRejected(TokenRevoked))]
#[case::logged_out(190, Some(467), TokenRejected(TokenRevoked))]
#[case::page_role(190, Some(492), TokenRejected(TokenRevoked))]
#[case::new_subcode(190, Some(999), TokenRejected(TokenRevoked))]
fn graph_codes_outrank_the_status(
    #[case] code: i64,
    #[case] subcode: Option<i64>,
    #[case] expected: InstagramErrorKind,
    #[values(200, 400, 403, 429, 500)] status: u16,
    #[values(TokenExtension, TokenRenewal, Profile)] endpoint: Endpoint,
) {
    let body = json!({"error": {
        "message": "Some text.", "type": "OAuthException", "code": code, "error_subcode": subcode,
    }});
    assert_eq!(refused(endpoint, status, &body.to_string()), expected);
}

#[rstest]
#[case::tester_role_missing(100, "Unsupported request - method type: get", AppMisconfigured)]
#[case::posted(100, "Unsupported request - method type: post", AppMisconfigured)]
#[case::wrong_secret(100, "Error validating client secret.", AppMisconfigured)]
#[case::wrong_host(190, "Invalid OAuth access token - Cannot parse access token", AppMisconfigured)]
#[case::unknown_app(
    101,
    "Error validating application. Cannot get application info due to a system error.",
    AppMisconfigured
)]
#[case::dashboard_token(100, "Session key invalid. This could be because …", SessionUnknown)]
#[case::expired_in_words(
    190,
    "Error validating access token: Session has expired.",
    TokenRejected(TokenRevoked)
)]
#[case::code_text_elsewhere(100, "This authorization code has been used.", Unexpected)]
#[case::redirect_text_elsewhere(100, "Error validating verification code.", Unexpected)]
fn some_graph_errors_are_known_by_their_words(
    #[case] code: i64,
    #[case] message: &str,
    #[case] expected: InstagramErrorKind,
    #[values(TokenExtension, TokenRenewal, Profile)] endpoint: Endpoint,
) {
    let body = json!({"error": {"message": message, "type": "IGApiException", "code": code}});
    assert_eq!(refused(endpoint, 400, &body.to_string()), expected);
}

#[rstest]
#[case::tester_role_missing("Unsupported request - method type: get")]
#[case::wrong_secret("Error validating client secret.")]
#[case::deleted_app("Error validating application. Application has been deleted.")]
#[case::wrong_host("Invalid OAuth access token - Cannot parse access token")]
fn a_text_about_the_app_outranks_every_code_and_flag(
    #[case] message: &str,
    #[values(1, 2, 4, 32, 100, 101, 102, 190, 368, 452, 613, 80_002, 9_999)] code: i64,
    #[values(CodeExchange, TokenExtension, TokenRenewal, Profile)] endpoint: Endpoint,
) {
    for (subcode, transient) in
        [0, 463, CODE_ALREADY_USED].into_iter().flat_map(|code| [(code, false), (code, true)])
    {
        let graph = json!({"error": {
            "message": message, "type": "OAuthException", "code": code, "error_subcode": subcode,
            "is_transient": transient,
        }});
        assert_eq!(refused(endpoint, 400, &graph.to_string()), AppMisconfigured, "{graph}");
    }
}

#[rstest]
fn a_text_about_the_app_outranks_type_and_code_of_the_code_exchange(
    #[values("OAuthException", "OAuthRateLimitException")] error_type: &str,
    #[values(101, 190, 400, 429, 500)] code: i64,
    #[values(400, 429, 503)] status: u16,
) {
    let message = "Error validating application. Application has been deleted.";
    let flat = json!({"error_type": error_type, "code": code, "error_message": message});
    assert_eq!(refused(CodeExchange, status, &flat.to_string()), AppMisconfigured);
}

#[rstest]
#[case::transient(9_999, Unavailable)]
#[case::transient_refusal_of_a_token(190, Unavailable)]
#[case::transient_lack_of_permission(10, Unavailable)]
#[case::throttled_all_the_same(4, MINUTE)]
#[case::blocked_all_the_same(368, HOUR)]
fn transient_means_unavailable_but_for_throttling(
    #[case] code: i64,
    #[case] expected: InstagramErrorKind,
) {
    let body = json!({"error": {
        "message": "Some text.", "code": code, "error_subcode": 1_349_210, "is_transient": true,
    }});
    assert_eq!(refused(Profile, 403, &body.to_string()), expected);
}

#[rstest]
#[case::not_found("Matching code was not found or was already used", CodeRejected)]
#[case::not_found_with_stop("Matching code was not found or was already used.", CodeRejected)]
#[case::used("This authorization code has been used", CodeRejected)]
#[case::invalid("Invalid authorization code", CodeRejected)]
#[case::legacy_unknown("No matching code found.", CodeRejected)]
#[case::redirect_or_secret(
    "Error validating verification code. Please make sure your redirect_uri is identical to the one \
     you used in the OAuth dialog request",
    RedirectUriRejected
)]
#[case::legacy_redirect("Redirect URI doesn't match original redirect URI", RedirectUriRejected)]
#[case::redirect_of_the_page("Invalid redirect_uri", RedirectUriRejected)]
#[case::facebook_credentials("Invalid platform app", AppMisconfigured)]
#[case::no_tester("Insufficient developer role", AppMisconfigured)]
#[case::scopes("Invalid Scopes: business_basic", AppMisconfigured)]
#[case::new_words("Something else", Unexpected)]
fn the_code_exchange_is_known_by_its_words(
    #[case] message: &str,
    #[case] expected: InstagramErrorKind,
    #[values(200, 400)] status: u16,
) {
    let flat = json!({"error_type": "OAuthException", "code": 400, "error_message": message});
    assert_eq!(refused(CodeExchange, status, &flat.to_string()), expected);
    let codeless = json!({"error_message": message, "error_type": "OAuthException"});
    assert_eq!(refused(CodeExchange, status, &codeless.to_string()), expected);
    let graph = json!({"error": {"message": message, "type": "OAuthException", "code": 100}});
    assert_eq!(refused(CodeExchange, status, &graph.to_string()), expected);
}

#[rstest]
#[case::used_code_of_the_graph_host(
    400,
    r#"{"error":{"message":"Some text.","code":100,"error_subcode":36009}}"#,
    CodeRejected
)]
#[case::legacy_throttling(
    429,
    r#"{"meta":{"code":429,"error_type":"OAuthRateLimitException","error_message":"Slow down"}}"#,
    MINUTE
)]
#[case::legacy_throttling_by_type(
    400,
    r#"{"meta":{"error_type":"OAuthRateLimitException"}}"#,
    MINUTE
)]
#[case::throttled_by_its_own_code(400, r#"{"error_type":"OAuthException","code":429}"#, MINUTE)]
#[case::unknown_app_by_its_own_code(
    400,
    r#"{"error_type":"OAuthException","code":101,"error_message":"Some text."}"#,
    AppMisconfigured
)]
#[case::broken_in_flat_words(
    500,
    r#"{"error_type":"OAuthException","error_message":"Oops"}"#,
    Unavailable
)]
#[case::broken_under_success(200, r#"{"error_type":"OAuthException","code":503}"#, Unavailable)]
#[case::graph_words_without_code(
    400,
    r#"{"error":{"message":"Unsupported request - method type: post"}}"#,
    AppMisconfigured
)]
#[case::empty_envelope(400, r#"{"error":{}}"#, Unexpected)]
#[case::empty_envelope_under_success(200, r#"{"error":{}}"#, Unexpected)]
#[case::empty_envelope_of_an_outage(503, r#"{"error":{}}"#, Unavailable)]
fn other_envelopes_are_read_too(
    #[case] status: u16,
    #[case] body: &str,
    #[case] expected: InstagramErrorKind,
) {
    assert_eq!(refused(CodeExchange, status, body), expected);
}

#[rstest]
#[case::proxy_page(502, "<html>Bad gateway</html>", Unavailable)]
#[case::service_page(503, "", Unavailable)]
#[case::throttled_page(429, "<html>", MINUTE)]
#[case::moved(302, "", Unexpected)]
#[case::not_found(404, "<html>", Unexpected)]
#[case::refused_without_envelope(400, r#"{"detail":"no"}"#, Unexpected)]
#[case::page_under_success(200, "<html>Log in</html>", Unreadable)]
#[case::nothing_under_success(204, "", Unreadable)]
fn without_an_envelope_the_status_decides(
    #[case] status: u16,
    #[case] body: &str,
    #[case] expected: InstagramErrorKind,
    #[values(CodeExchange, TokenExtension, TokenRenewal, Profile)] endpoint: Endpoint,
) {
    assert_eq!(refused(endpoint, status, body), expected);
}

#[rstest]
#[case::success(200, Unreadable)]
#[case::refusal(400, Unexpected)]
#[case::outage(500, Unavailable)]
fn a_body_too_long_to_read_leaves_the_status(
    #[case] status: u16,
    #[case] expected: InstagramErrorKind,
) {
    let status = StatusCode::from_u16(status).unwrap();
    let error = accept(Profile, status, &HeaderMap::new(), None).unwrap_err();
    assert_eq!(error, expected.into());
}

#[test]
fn a_block_for_abuse_lasts_longer_where_instagram_says_so() {
    let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7200"))]);
    let body = br#"{"error":{"code":368}}"#;
    let error = accept(Profile, StatusCode::BAD_REQUEST, &headers, Some(body)).unwrap_err();
    assert_eq!(error.kind, RateLimited { retry_after: Duration::from_hours(2) });
}

#[test]
fn the_numbers_of_an_error_survive() {
    let body = br#"{"error":{"code":190,"error_subcode":463,"fbtrace_id":"AbC123"}}"#;
    let error =
        accept(Profile, StatusCode::BAD_REQUEST, &HeaderMap::new(), Some(body)).unwrap_err();
    assert_eq!((error.facts.code, error.facts.subcode), (Some(190), Some(463)));
    assert_eq!(error.facts.fbtrace_id.as_deref(), Some("AbC123"));
}

proptest! {
    #[test]
    fn no_body_breaks_it(status in 100_u16..600, body in any::<Vec<u8>>()) {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = accept(CodeExchange, status, &HeaderMap::new(), Some(&body));
        prop_assert!(answer.is_err() || status.is_success());
    }

    #[test]
    fn no_envelope_breaks_it(code in any::<i64>(), subcode in any::<Option<i64>>(), text in ".{0,80}") {
        let body = json!({"error": {"code": code, "error_subcode": subcode, "message": text}});
        let body = body.to_string();
        let error = accept(Profile, StatusCode::OK, &HeaderMap::new(), Some(body.as_bytes())).unwrap_err();
        prop_assert!(!matches!(error.kind, CodeRejected | RedirectUriRejected));
        prop_assert_eq!((error.facts.code, error.facts.subcode), (Some(code), subcode));
    }
}
