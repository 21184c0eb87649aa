//! Probes of a deployment: what they send, and what they make of the answers.

use ig_adapters::instagram::{Probe, ProbeVerdict, WebhookCheckError};
use ig_domain::TokenText;
use rstest::rstest;
use secrecy::SecretString;
use time::macros::datetime;
use wiremock::matchers::{any, body_string_contains, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{APP_ID, APP_SECRET, LONG_LIVED, json, settings_of};

const VERIFY_TOKEN: &str = "planted-verify-token";

async fn answering(answer: ResponseTemplate) -> (MockServer, Probe) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let probe = probe_of(&server.uri());
    (server, probe)
}

fn probe_of(base: &str) -> Probe {
    Probe::new(settings_of(None, base)).unwrap()
}

fn token() -> TokenText {
    LONG_LIVED.parse().unwrap()
}

#[rstest]
#[case::accepted(200, r#"{"user_id":"1"}"#, ProbeVerdict::Accepted)]
#[case::unknown_app(
    400,
    r#"{"error_type":"OAuthException","code":400,"error_message":"Invalid platform app"}"#,
    ProbeVerdict::UnknownApp
)]
#[case::under_any_status(
    200,
    r#"{"error_type":"OAuthException","error_message":"Invalid platform app"}"#,
    ProbeVerdict::UnknownApp
)]
#[case::wrong_secret(
    400,
    r#"{"error":{"message":"Error validating client secret.","code":100}}"#,
    ProbeVerdict::WrongSecret
)]
#[case::right_secret(
    400,
    r#"{"error":{"message":"Session key invalid. This could be…","code":452}}"#,
    ProbeVerdict::SessionUnknown
)]
#[case::restricted(
    400,
    r#"{"error":{"message":"Unsupported request - method type: get","code":100}}"#,
    ProbeVerdict::AppRefused
)]
#[case::disabled(
    400,
    r#"{"error":{"message":"Error validating application. Application has been deleted.","code":190}}"#,
    ProbeVerdict::AppRefused
)]
#[case::foreign_token(
    400,
    r#"{"error":{"message":"Invalid OAuth access token - Cannot parse access token","code":190}}"#,
    ProbeVerdict::ForeignToken
)]
#[case::dead_token(
    400,
    r#"{"error":{"message":"Error validating access token","code":190,"error_subcode":463}}"#,
    ProbeVerdict::OtherRefusal
)]
#[case::page(502, "<html>Bad gateway</html>", ProbeVerdict::Foreign(502))]
#[case::portal(200, "<html>Please log in</html>", ProbeVerdict::Foreign(200))]
#[case::other_json(404, r#"{"detail":"Not found"}"#, ProbeVerdict::Foreign(404))]
#[tokio::test]
async fn an_answer_tells_what_is_wrong(
    #[case] status: u16,
    #[case] body: &str,
    #[case] expected: ProbeVerdict,
) {
    let (_server, probe) = answering(json(status, body)).await;
    let verdicts = [
        probe.exchange_unknown_code().await.unwrap().verdict,
        probe.profile(Some(&token())).await.unwrap().verdict,
        probe.exchange_long_lived(&token()).await.unwrap().verdict,
    ];
    assert_eq!(verdicts, [expected; 3]);
}

#[tokio::test]
async fn each_probe_is_sent_as_instagram_expects_it() {
    let server = MockServer::start().await;
    let code = Mock::given(method("POST")).and(path("/api/oauth/access_token"));
    let app =
        format!("client_id={APP_ID}&client_secret={APP_SECRET}&grant_type=authorization_code");
    let code = code.and(body_string_contains(app));
    let profile = Mock::given(method("GET")).and(path("/v25.0/me"));
    let profile = profile.and(header("authorization", format!("Bearer {LONG_LIVED}")));
    let exchange = Mock::given(method("GET")).and(path("/v25.0/access_token"));
    let exchange = exchange.and(query_param("grant_type", "ig_exchange_token"));
    let exchange = exchange.and(query_param("client_secret", APP_SECRET));
    let exchange = exchange.and(query_param("access_token", LONG_LIVED));
    let webhooks = Mock::given(method("GET")).and(path("/webhooks/instagram"));
    let webhooks = webhooks.and(query_param("hub.mode", "subscribe"));
    let webhooks = webhooks.and(query_param("hub.verify_token", VERIFY_TOKEN));
    for (mock, answer) in [
        (code, json(200, "{}")),
        (profile, json(200, "{}").insert_header("date", "Sun, 29 Nov 2026 10:45:57 GMT")),
        (exchange, json(200, "{}").insert_header("date", "yesterday")),
        (webhooks, ResponseTemplate::new(200).set_body_string("1158201444")),
    ] {
        mock.respond_with(answer).expect(1).mount(&server).await;
    }
    let probe = probe_of(&server.uri());
    probe.exchange_unknown_code().await.unwrap();
    let told = probe.profile(Some(&token())).await.unwrap().time;
    assert_eq!(told, Some(datetime!(2026-11-29 10:45:57 UTC)));
    assert_eq!(probe.exchange_long_lived(&token()).await.unwrap().time, None);
    let address = format!("{}/webhooks/instagram", server.uri());
    probe.check_webhooks(&address, &SecretString::from(VERIFY_TOKEN)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_named_without_a_secret() {
    let probe = probe_of("http://127.0.0.1:1");
    let error = probe.exchange_long_lived(&token()).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.starts_with("127.0.0.1:1 is not reached (Connection refused"), "{shown}");
    assert!(!shown.contains("planted"), "{shown}");
    let verify_token = SecretString::from(VERIFY_TOKEN);
    let error = probe.check_webhooks("http://127.0.0.1:1/a", &verify_token).await.unwrap_err();
    assert!(matches!(error, WebhookCheckError::NotReached(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    let answer = json(200, "{}").set_delay(std::time::Duration::from_mins(1));
    let (_server, probe) = answering(answer).await;
    let begin = std::time::Instant::now();
    let error = probe.profile(None).await.unwrap_err();
    assert!(error.cause.contains("in time"), "{error:?}");
    assert!(begin.elapsed() < std::time::Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[rstest]
#[case::forbidden(403, "", "answers HTTP 403")]
#[case::redirect(301, "1158201444", "answers HTTP 301")]
#[case::page(200, "<html>1158201444</html>", "answers something else than the challenge")]
#[tokio::test]
async fn an_address_that_is_not_ours_is_told(
    #[case] status: u16,
    #[case] body: &str,
    #[case] told: &str,
) {
    let answer = ResponseTemplate::new(status).set_body_string(body);
    let (server, probe) = answering(answer.insert_header("location", "/elsewhere")).await;
    let checked = probe.check_webhooks(&server.uri(), &SecretString::from(VERIFY_TOKEN)).await;
    let error = checked.unwrap_err().to_string();
    assert!(error.ends_with(told) && error.starts_with("127.0.0.1:"), "{error}");
}
