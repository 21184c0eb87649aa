use std::future::pending;

use rstest::rstest;
use tokio::time::sleep;

use super::*;
use crate::fake_service::{FakeService, refused};
use crate::refusal::Reason;

/// A service whose `Get` is refused so until its `tries`-th call, counted from 0 on.
fn refusing(tries: usize, refuse: fn() -> Status) -> FakeService {
    FakeService::default().on_get(move |number, _| async move {
        if number < tries { Err(refuse()) } else { Ok(v1::GetResponse::default()) }
    })
}

async fn get(service: &FakeService) -> Result<v1::GetResponse, Refusal> {
    service.client().get(v1::GetRequest::default()).await
}

/// Times between the calls.
fn delays(service: &FakeService) -> Vec<Duration> {
    let calls = service.calls("Get");
    calls.windows(2).map(|pair| pair[1].time - pair[0].time).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_away_is_asked_again_after_longer_and_longer_delays() {
    let service = refusing(4, || refused(Code::Unavailable, "STORE_UNAVAILABLE", None));
    get(&service).await.unwrap();
    let delays = delays(&service);
    assert_eq!(delays.len(), 4);
    for (delay, milliseconds) in delays.iter().zip([200, 600, 1_800, 5_000]) {
        let least = Duration::from_millis(milliseconds);
        // The clock of the test's runtime goes by milliseconds.
        assert!(least <= *delay && *delay <= 2 * least + Duration::from_millis(5), "{delays:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_of_five_refusals_is_the_answer() {
    let service = refusing(9, || refused(Code::Unavailable, "STORE_UNAVAILABLE", None));
    let refusal = get(&service).await.unwrap_err();
    assert_eq!(refusal.reason(), Some(&Reason::StoreUnavailable));
    assert_eq!(service.calls("Get").len(), 5);
}

#[rstest]
#[case::unavailable(Code::Unavailable, "SHUTTING_DOWN")]
#[case::overloaded(Code::ResourceExhausted, "OVERLOADED")]
#[tokio::test(start_paused = true)]
async fn the_service_says_how_long_to_wait(#[case] code: Code, #[case] reason: &'static str) {
    let service = FakeService::default().on_get(move |number, _| async move {
        if number == 0 {
            Err(refused(code, reason, Some(7)))
        } else {
            Ok(v1::GetResponse::default())
        }
    });
    get(&service).await.unwrap();
    let [delay] = delays(&service).try_into().unwrap();
    assert!((7_000..7_010).contains(&delay.as_millis()), "{delay:?}");
}

#[rstest]
#[case::instagram_throttles(Code::ResourceExhausted, "RATE_LIMITED")]
#[case::the_person_must_act(Code::FailedPrecondition, "REAUTHORIZATION_REQUIRED")]
#[case::the_callers_fault(Code::InvalidArgument, "INVALID_FIELD")]
#[case::a_fault_of_the_service(Code::Internal, "INTERNAL")]
#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_asked_once(#[case] code: Code, #[case] reason: &'static str) {
    let refuse = move |_, _| async move { Err(refused(code, reason, Some(1))) };
    let service = FakeService::default().on_get(refuse);
    assert_eq!(get(&service).await.unwrap_err().reason().unwrap().as_str(), reason);
    assert_eq!(service.calls("Get").len(), 1);
}

#[rstest]
#[case::a_minute(60)]
#[case::as_long_as_can_be_said(i64::MAX.unsigned_abs())]
#[tokio::test(start_paused = true)]
async fn a_delay_that_is_longer_than_the_deadline_is_not_waited_for(#[case] seconds: u64) {
    let service = FakeService::default().on_get(move |_, _| async move {
        Err(refused(Code::Unavailable, "INSTAGRAM_UNAVAILABLE", Some(seconds)))
    });
    let begin = Instant::now();
    let refusal = get(&service).await.unwrap_err();
    assert!(refusal.retry_delay() >= Some(Duration::from_mins(1)), "{refusal:?}");
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_by_its_deadline_which_the_service_knows() {
    let service = FakeService::default().on_get(|_, _| pending());
    let begin = Instant::now();
    let refusal = get(&service).await.unwrap_err();
    assert_eq!(refusal.reason(), Some(&Reason::DeadlineExceeded));
    assert!((15_000..15_010).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
    let [call] = service.calls("Get").try_into().unwrap();
    assert_eq!(call.metadata.get("grpc-timeout").unwrap(), "15000000u");
}

#[tokio::test(start_paused = true)]
async fn a_retry_has_the_time_that_is_left() {
    let service = FakeService::default().on_get(|number, _| async move {
        sleep(Duration::from_secs(6)).await;
        assert!(number < 2, "two take 12 seconds, and the third one comes to no end");
        Err(refused(Code::Unavailable, "STORE_UNAVAILABLE", Some(1)))
    });
    let begin = Instant::now();
    let refusal = get(&service).await.unwrap_err();
    assert_eq!(refusal.reason(), Some(&Reason::DeadlineExceeded));
    assert!((15_000..15_010).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_a_proxy_says_for_a_replica_that_died_is_asked_again() {
    let service = refusing(1, || Status::unknown("the connection broke"));
    get(&service).await.unwrap();
    assert_eq!(service.calls("Get").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_bearer_token_is_read_anew_for_each_call() {
    let service = refusing(0, || unreachable!());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let client = service.client_with(Credentials::BearerFile(file.clone()));
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.get(v1::GetRequest::default()).await }
    });
    // Not there at first, as while it is replaced.
    sleep(Duration::from_millis(100)).await;
    std::fs::write(&file, "igacc_first\n").unwrap();
    waiting.await.unwrap().unwrap();
    std::fs::write(&file, "igacc_second").unwrap();
    client.get(v1::GetRequest::default()).await.unwrap();
    let sent = service.calls("Get").into_iter().map(|call| {
        let sent = call.metadata.get("authorization").unwrap().clone();
        sent.to_str().unwrap().to_owned()
    });
    assert_eq!(sent.collect::<Vec<_>>(), ["Bearer igacc_first", "Bearer igacc_second"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_without_a_token_is_named_and_its_content_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "igacc_\u{1}secret").unwrap();
    let client = FakeService::default().client_with(Credentials::BearerFile(file));
    let refusal = client.get(v1::GetRequest::default()).await.unwrap_err();
    let shown = format!("{refusal} {refusal:?}");
    assert!(shown.contains("token holds no bearer token") && !shown.contains("igacc"), "{shown}");
}

#[test]
fn no_debug_shows_a_bearer_token() {
    let authorization = crate::credentials::authorization("igacc_secret").unwrap();
    let request = with_authorization((), Some(authorization));
    let shown = format!("{request:?}");
    assert!(shown.contains("authorization") && !shown.contains("igacc"), "{shown}");
}

#[rstest]
#[case::no_url("", "not the URL")]
#[case::another_scheme("ftp://accounts", "not the URL")]
#[case::no_scheme("accounts:50051", "not the URL")]
#[case::nobody_to_trust("https://accounts", "certificate of the authority")]
#[tokio::test]
async fn wrong_options_are_told_at_once(#[case] url: &str, #[case] expected: &str) {
    let error = AccountsClient::connect_lazy(ClientOptions::new(url)).err().unwrap().to_string();
    assert!(error.contains(expected), "{error}");
    let bearer = ClientOptions::new("http://accounts").bearer("igacc_\nsecret");
    let error = AccountsClient::connect_lazy(bearer).err().unwrap();
    assert!(matches!(error, ConnectError::InvalidBearer), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn connecting_to_nobody_says_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let begin = Instant::now();
    let error = AccountsClient::connect(ClientOptions::new(url)).await.err().unwrap();
    assert!((7..16).contains(&begin.elapsed().as_secs()), "five tries: {:?}", begin.elapsed());
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(text.contains("cannot be connected to") && text.contains("refused"), "{text}");
}
