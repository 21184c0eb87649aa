use std::future::pending;

use futures_util::future::join_all;
use rstest::rstest;
use tokio::time::{advance, sleep, timeout};
use tonic::Code;

use super::*;
use crate::fake_service::{FakeService, refused};

const HOUR: Duration = Duration::from_hours(1);

/// A service whose tokens are numbered, and live for so long.
fn service(life: Duration) -> FakeService {
    FakeService::default()
        .on_fetch(move |number, _| async move {
            sleep(Duration::from_millis(50)).await;
            Ok(answer(number, life))
        })
        .on_refresh(|_, _| async { Ok(v1::RefreshResponse::default()) })
}

#[expect(clippy::disallowed_methods, reason = "tokens end by the calendar")]
fn answer(number: usize, life: Duration) -> v1::FetchAccessTokenResponse {
    v1::FetchAccessTokenResponse {
        access_token: format!("IGAA-{number}"),
        professional_account_id: "17841400000000001".to_owned(),
        expire_time: Some((SystemTime::now() + life).into()),
        granted_scopes: Vec::new(),
        granted_scopes_known: false,
    }
}

fn cache(service: &FakeService) -> TokenCache {
    TokenCache::new(service.client(), "publish")
}

/// Number of calls of `FetchAccessToken`.
fn fetched(service: &FakeService) -> usize {
    service.calls("FetchAccessToken").len()
}

async fn text(cache: &TokenCache, min_ttl: Duration) -> String {
    cache.token("a", None, min_ttl).await.unwrap().expose().to_owned()
}

#[tokio::test(start_paused = true)]
async fn all_who_want_a_token_at_the_same_time_share_one_call() {
    let service = service(50 * 24 * HOUR);
    let cache = cache(&service);
    let texts = join_all((0..100).map(|_| text(&cache, HOUR))).await;
    assert!(texts.iter().all(|text| text == "IGAA-0"), "{texts:?}");
    assert_eq!(fetched(&service), 1);
}

#[tokio::test(start_paused = true)]
async fn each_account_and_each_owner_has_a_token_of_its_own() {
    let service = service(50 * 24 * HOUR);
    let cache = cache(&service);
    for (account, owner) in [("a", None), ("b", None), ("a", Some("")), ("a", Some("shop/7"))] {
        cache.token(account, owner, HOUR).await.unwrap();
    }
    assert_eq!(fetched(&service), 4);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_handed_out_for_less_than_an_hour() {
    let service = service(50 * 24 * HOUR);
    let cache = cache(&service);
    assert_eq!(text(&cache, HOUR).await, "IGAA-0");
    advance(Duration::from_mins(54)).await;
    assert_eq!(text(&cache, HOUR).await, "IGAA-0");
    advance(Duration::from_mins(1)).await;
    assert_eq!(text(&cache, HOUR).await, "IGAA-1");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_lives_shorter_than_asked_is_fetched_anew() {
    let service = service(2 * HOUR);
    let cache = cache(&service);
    assert_eq!(text(&cache, HOUR).await, "IGAA-0");
    advance(Duration::from_mins(50)).await;
    assert_eq!(text(&cache, HOUR).await, "IGAA-0", "it lives for 70 minutes still");
    assert_eq!(text(&cache, Duration::from_mins(80)).await, "IGAA-1");
    assert_eq!(text(&cache, Duration::ZERO).await, "IGAA-1");
    assert_eq!(text(&cache, Duration::MAX).await, "IGAA-2", "whatever the service makes of it");
}

#[tokio::test(start_paused = true)]
async fn the_service_knows_better_than_a_clock_that_is_wrong() {
    let service = service(Duration::ZERO);
    let cache = cache(&service);
    assert_eq!(text(&cache, HOUR).await, "IGAA-0");
    assert_eq!(text(&cache, HOUR / 2).await, "IGAA-0");
    advance(HOUR * 3 / 4).await;
    assert_eq!(text(&cache, HOUR / 2).await, "IGAA-1");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_shared_and_not_kept() {
    let service = FakeService::default().on_fetch(|number, _| async move {
        sleep(Duration::from_millis(50)).await;
        if number == 0 {
            return Err(refused(Code::FailedPrecondition, "REAUTHORIZATION_REQUIRED", None));
        }
        Ok(answer(number, HOUR))
    });
    let cache = cache(&service);
    let refusals = join_all((0..10).map(|_| cache.token("a", None, Duration::ZERO))).await;
    for refusal in refusals {
        assert_eq!(refusal.unwrap_err().reason(), Some(&Reason::ReauthorizationRequired));
    }
    assert_eq!(fetched(&service), 1);
    assert_eq!(text(&cache, Duration::ZERO).await, "IGAA-1");
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_when_all_who_wait_for_it_give_up() {
    let service = service(2 * HOUR);
    let cache = cache(&service);
    let impatient = timeout(Duration::from_millis(10), text(&cache, HOUR)).await;
    assert!(impatient.is_err());
    sleep(HOUR / 2).await;
    assert_eq!(text(&cache, HOUR).await, "IGAA-0");
    assert_eq!(fetched(&service), 1);
}

#[tokio::test(start_paused = true)]
async fn one_who_wants_less_waits_for_a_call_that_wants_more_unless_that_is_refused() {
    let service = FakeService::default().on_fetch(|number, request| async move {
        sleep(Duration::from_millis(50)).await;
        if request.min_ttl.unwrap().seconds > 3600 {
            return Err(refused(Code::FailedPrecondition, "MIN_TTL_UNMET", Some(60)));
        }
        Ok(answer(number, HOUR))
    });
    let cache = cache(&service);
    let (more, less) = tokio::join!(cache.token("a", None, 2 * HOUR), text(&cache, HOUR / 2));
    assert_eq!(more.unwrap_err().reason(), Some(&Reason::MinTtlUnmet));
    assert_eq!((less.as_str(), fetched(&service)), ("IGAA-1", 2));
}

#[tokio::test(start_paused = true)]
async fn one_who_wants_more_does_not_wait_for_a_call_that_wants_less() {
    let service = FakeService::default().on_fetch(|number, _| async move {
        if number == 0 { pending().await } else { Ok(answer(number, 2 * HOUR)) }
    });
    let cache = cache(&service);
    let (less, more) =
        tokio::join!(timeout(Duration::from_secs(1), text(&cache, HOUR / 2)), text(&cache, HOUR),);
    assert!(less.is_err());
    assert_eq!(more, "IGAA-1");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_instagram_refused_is_put_to_refresh_once_and_fetched_anew() {
    let service = service(50 * 24 * HOUR);
    let cache = cache(&service);
    let token = cache.token("a", Some("shop/7"), HOUR).await.unwrap();
    let newest = join_all((0..10).map(|_| cache.refused(&token))).await;
    for token in newest {
        assert_eq!(token.unwrap().expose(), "IGAA-1");
    }
    assert_eq!((service.calls("Refresh").len(), fetched(&service)), (1, 2));
    let late = cache.refused(&token).await.unwrap();
    assert_eq!(late.expose(), "IGAA-1", "it was replaced already");
    assert_eq!(cache.token("a", Some("shop/7"), HOUR).await.unwrap().expose(), "IGAA-1");
    assert_eq!(service.calls("Refresh").len(), 1);
    assert_eq!(cache.refused(&late).await.unwrap().expose(), "IGAA-2");
    assert_eq!(service.calls("Refresh").len(), 2);
}

/// The service does not know yet that Instagram refuses it.
#[tokio::test(start_paused = true)]
async fn a_refused_token_that_was_fetched_again_meanwhile_is_put_to_refresh_once() {
    let service = FakeService::default()
        .on_fetch(|_, _| async { Ok(answer(0, 50 * 24 * HOUR)) })
        .on_refresh(|_, _| async { Ok(v1::RefreshResponse::default()) });
    let cache = cache(&service);
    let token = cache.token("a", None, HOUR).await.unwrap();
    advance(HOUR).await;
    cache.token("a", None, HOUR).await.unwrap();
    assert_eq!((service.calls("Refresh").len(), fetched(&service)), (0, 2));
    for _ in 0..2 {
        cache.refused(&token).await.unwrap();
        assert_eq!((service.calls("Refresh").len(), fetched(&service)), (1, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_token_is_not_fetched() {
    let service = service(HOUR).on_refresh(|_, _| async {
        Err(refused(Code::FailedPrecondition, "REAUTHORIZATION_REQUIRED", None))
    });
    let cache = cache(&service);
    let token = cache.token("a", None, Duration::ZERO).await.unwrap();
    let refusal = cache.refused(&token).await.unwrap_err();
    assert_eq!(refusal.reason(), Some(&Reason::ReauthorizationRequired));
    assert_eq!(fetched(&service), 1);
    assert_eq!(text(&cache, Duration::ZERO).await, "IGAA-1", "the refused one is forgotten");
}

/// A service whose first token lives for two hours, and whose next calls are refused so.
fn refusing(code: Code, reason: &'static str) -> FakeService {
    let refresh = move |_, _| async move { Err(refused(code, reason, None)) };
    FakeService::default()
        .on_fetch(move |number, _| async move {
            if number == 0 {
                return Ok(answer(number, 2 * HOUR));
            }
            Err(refused(code, reason, None))
        })
        .on_refresh(refresh)
}

#[rstest]
#[case::the_store_is_away(Code::Unavailable, "STORE_UNAVAILABLE", true)]
#[case::throttled(Code::ResourceExhausted, "RATE_LIMITED", true)]
#[case::a_fault_of_the_service(Code::Internal, "INTERNAL", true)]
#[case::a_longer_life_than_there_is(Code::FailedPrecondition, "MIN_TTL_UNMET", true)]
#[case::a_refused_app(Code::FailedPrecondition, "APP_MISCONFIGURED", true)]
#[case::a_dead_token(Code::FailedPrecondition, "REAUTHORIZATION_REQUIRED", false)]
#[case::a_reason_to_come(Code::FailedPrecondition, "ANOTHER", false)]
#[case::an_account_that_is_gone(Code::NotFound, "ACCOUNT_NOT_FOUND", false)]
#[case::lost_rights(Code::PermissionDenied, "PERMISSION_DENIED", false)]
#[case::an_unknown_caller(Code::Unauthenticated, "UNAUTHENTICATED", false)]
#[tokio::test(start_paused = true)]
async fn a_call_that_fails_leaves_a_token_that_is_good_still(
    #[case] code: Code,
    #[case] reason: &'static str,
    #[case] leaves: bool,
) {
    let service = refusing(code, reason);
    let cache = cache(&service);
    assert_eq!(text(&cache, HOUR).await, "IGAA-0");
    for _ in 0..2 {
        let refusal = cache.token("a", None, 3 * HOUR).await.unwrap_err();
        assert_eq!(refusal.reason().unwrap().as_str(), reason);
    }
    let calls = fetched(&service);
    let token = cache.token("a", None, HOUR).await;
    assert_eq!(token.is_ok_and(|token| token.expose() == "IGAA-0"), leaves);
    assert_eq!(fetched(&service) == calls, leaves);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_left_is_handed_out_for_as_long_as_any_other() {
    let service = refusing(Code::Internal, "INTERNAL");
    let cache = cache(&service);
    assert_eq!(text(&cache, HOUR).await, "IGAA-0");
    cache.token("a", None, 3 * HOUR).await.unwrap_err();
    advance(Duration::from_mins(50)).await;
    assert_eq!(text(&cache, HOUR).await, "IGAA-0", "it lives for 70 minutes still");
    cache.token("a", None, Duration::from_mins(80)).await.unwrap_err();
    advance(Duration::from_mins(4)).await;
    assert_eq!(text(&cache, Duration::ZERO).await, "IGAA-0");
    advance(Duration::from_mins(1)).await;
    cache.token("a", None, Duration::ZERO).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_good_still_is_handed_out_while_a_call_for_a_longer_life_is_under_way() {
    let service = FakeService::default().on_fetch(|number, _| async move {
        if number == 0 { Ok(answer(number, 2 * HOUR)) } else { pending().await }
    });
    let cache = cache(&service);
    assert_eq!(text(&cache, HOUR).await, "IGAA-0");
    let longer = timeout(Duration::from_secs(1), text(&cache, 3 * HOUR)).await;
    assert!(longer.is_err());
    let begin = Instant::now();
    assert_eq!((text(&cache, HOUR).await.as_str(), begin.elapsed()), ("IGAA-0", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_not_left_whatever_becomes_of_the_refresh() {
    let service = refusing(Code::Internal, "INTERNAL");
    let cache = cache(&service);
    let token = cache.token("a", None, HOUR).await.unwrap();
    cache.refused(&token).await.unwrap_err();
    cache.token("a", None, HOUR).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_end_is_not_known_counts_as_one_that_lives_for_an_hour() {
    let service = FakeService::default().on_fetch(|number, _| async move {
        let answer = v1::FetchAccessTokenResponse { expire_time: None, ..answer(number, HOUR) };
        Ok(answer)
    });
    let cache = cache(&service);
    assert_eq!(cache.token("a", None, Duration::ZERO).await.unwrap().expire_time(), None);
    advance(HOUR / 2).await;
    assert_eq!(text(&cache, HOUR / 3).await, "IGAA-0");
    assert_eq!(text(&cache, HOUR).await, "IGAA-1");
}

#[tokio::test(start_paused = true)]
async fn debug_shows_all_of_a_token_but_the_token() {
    let service = service(HOUR);
    let token = cache(&service).token("a", None, Duration::ZERO).await.unwrap();
    let shown = format!("{token:?}");
    assert!(shown.contains("17841400000000001") && !shown.contains("IGAA"), "{shown}");
}
