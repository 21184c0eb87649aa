//! Tokens while Instagram takes its time: a caller with enough does not wait, and one that waits does so within its
//! own deadline.

use std::time::Duration;

use ig_proto::v1::FetchAccessTokenResponse;
use serde_json::json;
use tokio::task::JoinHandle;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;

use crate::support::sandbox::BAKERY;
use crate::support::service::fetch;
use crate::support::{A_DAY_LATER, Service, Stack, refusal};

/// Number of tokens that are handed out while Instagram takes its time: one that waited would be enough to tell, and a
/// machine that is busy with other things hands out few in the four seconds of the shorter wait.
const HAND_OUTS: usize = 4;

/// A call for a token of 50 days, which waits no longer than this.
fn waiting(
    service: &Service,
    account_id: &str,
    limit: Duration,
) -> JoinHandle<Result<FetchAccessTokenResponse, Status>> {
    let mut request = Request::new(fetch(account_id, 50));
    request.set_timeout(limit);
    let mut client = service.client_without_deadline();
    tokio::spawn(async move { client.fetch_access_token(request).await.map(Response::into_inner) })
}

#[tokio::test]
async fn only_who_needs_more_life_waits_for_a_renewal_and_no_longer_than_its_deadline() {
    let stack = Stack::start().await;
    let replica = stack.replica().await;
    let Stack { sandbox, service, .. } = &stack;
    let account_id = service.linked(sandbox, "shop/7", BAKERY).await.account_id;
    let former = service.fetch(&account_id, 0).await.unwrap().access_token;
    stack.advance(20 * A_DAY_LATER).await;
    replica.clock_follows(sandbox).await;
    sandbox.fault(json!({ "endpoint": "refresh", "delay_ms": 4_000 })).await;
    let patient = waiting(service, &account_id, Duration::from_secs(30));
    sandbox.reached("refresh", 1).await;
    let impatient = waiting(service, &account_id, Duration::from_millis(500));
    for service in [service, &replica].into_iter().cycle().take(HAND_OUTS) {
        let handed = service.fetch(&account_id, 20).await.unwrap();
        assert!(handed.access_token == former, "the stored token lives long enough");
    }
    let told = impatient.await.unwrap().unwrap_err();
    assert_eq!(told.code(), Code::DeadlineExceeded, "{told:?}");
    assert_eq!(told.get_details_error_info().unwrap().reason, "DEADLINE_EXCEEDED");
    assert!(!patient.is_finished(), "nobody else waited for Instagram");

    let renewed = patient.await.unwrap().unwrap();
    assert!(renewed.access_token != former, "the token is renewed");
    // The other replica has it too, and Instagram was asked once.
    let handed = replica.fetch(&account_id, 50).await.unwrap();
    assert!(handed.access_token == renewed.access_token);
    assert_eq!(sandbox.requests("refresh").await.len(), 1);
}

#[tokio::test]
async fn an_instagram_that_takes_ten_seconds_delays_nobody_whose_token_lives_long_enough() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let account_id = service.linked(sandbox, "shop/7", BAKERY).await.account_id;
    stack.advance(20 * A_DAY_LATER).await;
    sandbox.fault(json!({ "endpoint": "refresh", "delay_ms": 10_000 })).await;
    let waiting = waiting(service, &account_id, Duration::from_secs(30));
    sandbox.reached("refresh", 1).await;
    for _ in 0..HAND_OUTS {
        service.fetch(&account_id, 20).await.unwrap();
    }
    assert!(!waiting.is_finished(), "nobody else waited for Instagram");
    // Beyond our own limit for a call to Instagram the renewal counts as failed, and the token lives on.
    let refused = refusal(waiting.await.unwrap());
    assert_eq!(refused.reason, "MIN_TTL_UNMET");
    assert_eq!(refused.metadata["cause"], "INSTAGRAM_UNAVAILABLE");
    service.fetch(&account_id, 20).await.unwrap();
    sandbox.clear_faults().await;
    service.fetch(&account_id, 50).await.unwrap();
}
