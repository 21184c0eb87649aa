//! The clock against a server that sets its time as the sandbox does.

use proptest::prelude::*;
use rstest::rstest;
use time::Duration as Span;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;

/// reqwest needs a provider even without TLS; another test may have installed it.
fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

async fn sandbox() -> (MockServer, String) {
    install_provider();
    let server = MockServer::start().await;
    let url = format!("{}/sandbox/clock", server.uri());
    (server, url)
}

async fn answer(server: &MockServer, response: ResponseTemplate) {
    server.reset().await;
    Mock::given(path("/sandbox/clock")).respond_with(response).mount(server).await;
}

fn shifted(by: Span) -> ResponseTemplate {
    let now = (SystemClock.now() + by).format(&Rfc3339).unwrap();
    ResponseTemplate::new(200).set_body_json(serde_json::json!({ "now": now }))
}

fn is_ahead_by(clock: &SandboxClock, span: Span) -> bool {
    (clock.now() - SystemClock.now() - span).abs() < Span::seconds(5)
}

/// Waits until the clock has followed; the test's own limit ends a clock that never does.
async fn until_ahead_by(clock: &SandboxClock, span: Span) {
    let followed = async {
        while !is_ahead_by(clock, span) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), followed).await.unwrap();
}

#[tokio::test]
async fn time_follows_the_sandbox_forwards_and_back_and_outlives_its_failures() {
    let (server, url) = sandbox().await;
    answer(&server, shifted(Span::days(3))).await;
    let clock = SandboxClock::connect(&url).await.unwrap();
    assert!(is_ahead_by(&clock, Span::days(3)));
    answer(&server, shifted(Span::days(60))).await;
    until_ahead_by(&clock, Span::days(60)).await;
    answer(&server, shifted(Span::days(1))).await;
    until_ahead_by(&clock, Span::days(1)).await;
    answer(&server, ResponseTemplate::new(500)).await;
    while server.received_requests().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(is_ahead_by(&clock, Span::days(1)));
    assert_eq!(clock.jumps(), 2);
}

/// A sandbox whose clock is set by a day whenever somebody waits for it, `jumps` times at most.
async fn restless(jumps: u64) -> (MockServer, String) {
    let (server, url) = sandbox().await;
    let respond = move |request: &Request| {
        let seen = request.url.query_pairs().find(|(name, _)| name == "after");
        let seen = seen.map(|(_, seen)| seen.parse::<u64>().unwrap());
        let changes = seen.map_or(0, |seen| jumps.min(seen + 1));
        let now = SystemClock.now() + Span::days(changes.try_into().unwrap());
        let now = now.format(&Rfc3339).unwrap();
        ResponseTemplate::new(200)
            .set_body_json(serde_json::json!({ "now": now, "changes": changes }))
    };
    Mock::given(path("/sandbox/clock")).respond_with(respond).mount(&server).await;
    (server, url)
}

#[tokio::test]
async fn jumps_that_the_sandbox_tells_are_seen_at_once() {
    const JUMPS: u64 = 100;
    let (_server, url) = restless(JUMPS).await;
    let clock = SandboxClock::connect(&url).await.unwrap();
    let followed = async {
        while clock.jumps() < JUMPS {
            clock.jumped(clock.jumps()).await;
        }
    };
    let far_less_than_polling = POLL_INTERVAL * u32::try_from(JUMPS / 2).unwrap();
    tokio::time::timeout(far_less_than_polling, followed).await.unwrap();
    assert!(is_ahead_by(&clock, Span::days(100)));
    clock.jumped(JUMPS - 1).await;
    assert!(tokio::time::timeout(Duration::ZERO, clock.jumped(JUMPS)).await.is_err());
}

#[rstest]
#[case::late(5_000_000, None, 5_500_000, 0)]
#[case::prompt(6_000_000, None, 6_000_000, 0)]
#[case::set_on(6_500_001, None, 6_500_001, 1)]
#[case::set_back(4_499_999, None, 4_499_999, 1)]
#[case::told_and_late(5_000_000, Some(1), 5_000_000, 1)]
fn a_late_answer_is_no_jump(
    #[case] offset: i64,
    #[case] changes: Option<u64>,
    #[case] expected: i64,
    #[case] jumps: u64,
) {
    let mut shown = Shown { offset: 5_500_000, jumps: 0 };
    shown.update(Reading { offset, changes }, changes.is_some());
    assert_eq!((shown.offset, shown.jumps), (expected, jumps));
}

#[rstest]
#[case::a_failure(ResponseTemplate::new(500))]
#[case::a_redirect(ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:1/"))]
#[case::no_json(ResponseTemplate::new(200).set_body_string("soon"))]
#[case::no_time(ResponseTemplate::new(200).set_body_string(r#"{"now":"noon"}"#))]
#[case::too_much(ResponseTemplate::new(200).set_body_string(" ".repeat(5000)))]
#[tokio::test]
async fn an_answer_without_time_is_an_error_at_the_start(#[case] response: ResponseTemplate) {
    let (server, url) = sandbox().await;
    answer(&server, response).await;
    assert!(SandboxClock::connect(&url).await.is_err());
}

#[tokio::test]
async fn an_error_does_not_repeat_the_url() {
    install_provider();
    let nobody = "http://user:planted@127.0.0.1:1/sandbox/clock";
    let refused = SandboxClock::connect(nobody).await.unwrap_err();
    assert!(matches!(refused, SandboxClockError::Unreachable(_)));
    assert!(!format!("{refused:?} {refused}").contains("planted"));
}

proptest! {
    #[test]
    fn reading_an_answer_never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }
}
