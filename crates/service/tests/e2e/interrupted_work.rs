//! Rest of work that was interrupted: by a kill, by a stop, by a caller who went away.

use std::time::Duration;

use ig_application::MAX_TAKEOVER_TIME;
use ig_proto::v1::get_request::Key;
use ig_proto::v1::{LinkRequest, LinkResponse, ListRequest, TokenOutcome};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status};

use crate::support::sandbox::BAKERY;
use crate::support::{A_DAY_LATER, Service, Stack, reason};

/// Longer than any test waits with the answer of a call that is not to finish.
const NEVER_MS: u64 = 120_000;

#[tokio::test]
async fn killed_after_the_exchange_a_link_goes_on_from_there() {
    let mut stack = Stack::start().await;
    let request = stack.service.consent(&stack.sandbox, "shop/7", BAKERY).await;
    for endpoint in ["exchange", "me"] {
        stack.sandbox.fault(held(endpoint)).await;
    }
    let call = begun(&stack.service, &request);
    // The second calls are only made once the short-lived token is stored.
    stack.sandbox.reached("exchange", 1).await;
    stack.sandbox.reached("me", 1).await;
    restart_after_kill(&mut stack).await;
    call.await.unwrap().unwrap_err();
    stack.sandbox.clear_faults().await;
    let linked = within(MAX_TAKEOVER_TIME, &stack.service, request.clone()).await.unwrap();
    assert!(linked.created);
    assert_eq!(linked.account.as_ref().unwrap().username, BAKERY);
    assert_eq!(stack.service.link(request).await.unwrap(), linked);
    assert_eq!(stack.sandbox.requests("token").await.len(), 1);
}

#[tokio::test]
async fn killed_while_the_code_is_on_its_way_a_link_is_interrupted_for_good() {
    let mut stack = Stack::start().await;
    let request = stack.service.consent(&stack.sandbox, "shop/7", BAKERY).await;
    stack.sandbox.fault(held("token")).await;
    let call = begun(&stack.service, &request);
    stack.sandbox.reached("token", 1).await;
    restart_after_kill(&mut stack).await;
    call.await.unwrap().unwrap_err();
    stack.sandbox.clear_faults().await;
    let interrupted = within(MAX_TAKEOVER_TIME, &stack.service, request.clone()).await;
    assert_eq!(reason(interrupted), "LINK_INTERRUPTED");
    assert_eq!(reason(stack.service.link(request).await), "LINK_INTERRUPTED");
    assert_eq!(stack.sandbox.requests("token").await.len(), 1);
    let stored = stack.service.list(ListRequest::default()).await.unwrap();
    assert_eq!(stored.accounts, []);
    assert!(stack.service.linked(&stack.sandbox, "shop/7", BAKERY).await.revision == 1);
}

#[tokio::test]
async fn killed_during_a_renewal_the_account_has_its_old_token_and_the_next_renewal_works() {
    let mut stack = Stack::start().await;
    let account = stack.service.linked(&stack.sandbox, "shop/7", BAKERY).await;
    stack.advance(A_DAY_LATER).await;
    // Instagram has renewed the token by then; only its answer does not come.
    let mut fault = held("refresh");
    fault["after"] = true.into();
    stack.sandbox.fault(fault).await;
    let call = tokio::spawn({
        let (mut client, account_id) = (stack.service.client.clone(), account.account_id.clone());
        async move { client.refresh(ig_proto::v1::RefreshRequest { account_id, owner: None }).await }
    });
    stack.sandbox.reached("refresh", 1).await;
    restart_after_kill(&mut stack).await;
    call.await.unwrap().unwrap_err();
    stack.sandbox.clear_faults().await;
    let kept = stack.service.get(Key::AccountId(account.account_id.clone())).await.unwrap();
    assert_eq!(kept, account);
    let renewed = stack.service.refresh(&account.account_id).await.unwrap();
    assert_eq!(renewed.token_outcome(), TokenOutcome::Renewed);
    assert_eq!(stack.sandbox.requests("refresh").await.len(), 2);
}

#[tokio::test]
async fn a_caller_who_goes_away_loses_nothing() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let request = service.consent(sandbox, "shop/7", BAKERY).await;
    sandbox.fault(json!({ "endpoint": "token", "delay_ms": 500 })).await;
    let call = begun(service, &request);
    sandbox.reached("token", 1).await;
    call.abort();
    let linked = service.link(request).await.unwrap();
    assert!(linked.created);
    assert_eq!(sandbox.requests("token").await.len(), 1);
}

#[tokio::test]
async fn a_caller_whose_deadline_passes_loses_nothing() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let request = service.consent(sandbox, "shop/7", BAKERY).await;
    sandbox.fault(json!({ "endpoint": "token", "delay_ms": 1500 })).await;
    within(Duration::from_millis(700), service, request.clone()).await.unwrap_err();
    let linked = service.link(request).await.unwrap();
    assert!(linked.created);
    assert_eq!(sandbox.requests("token").await.len(), 1);
}

#[tokio::test]
async fn a_stop_waits_for_a_link_and_its_caller() {
    let mut stack = Stack::start().await;
    let request = stack.service.consent(&stack.sandbox, "shop/7", BAKERY).await;
    stack.sandbox.fault(json!({ "endpoint": "token", "delay_ms": 500 })).await;
    let call = begun(&stack.service, &request);
    stack.sandbox.reached("token", 1).await;
    stop(&mut stack).await;
    let linked = call.await.unwrap().unwrap();
    stack.service = stack.replica().await;
    let account = linked.account.unwrap();
    let kept = stack.service.get(Key::AccountId(account.account_id.clone())).await.unwrap();
    assert_eq!(kept, account);
}

#[tokio::test]
async fn a_stop_waits_for_a_link_whose_caller_has_gone() {
    let mut stack = Stack::start().await;
    let request = stack.service.consent(&stack.sandbox, "shop/7", BAKERY).await;
    stack.sandbox.fault(json!({ "endpoint": "token", "delay_ms": 500 })).await;
    let call = begun(&stack.service, &request);
    stack.sandbox.reached("token", 1).await;
    call.abort();
    stop(&mut stack).await;
    stack.service = stack.replica().await;
    let kept = stack.service.get(Key::Username(BAKERY.to_owned())).await.unwrap();
    assert_eq!(stack.service.link(request).await.unwrap().account.unwrap(), kept);
    assert_eq!(stack.sandbox.requests("token").await.len(), 1);
}

/// The first call at this endpoint is not answered.
fn held(endpoint: &str) -> serde_json::Value {
    json!({ "endpoint": endpoint, "times": 1, "delay_ms": NEVER_MS })
}

/// A `Link` under way.
fn begun(service: &Service, request: &LinkRequest) -> JoinHandle<Result<LinkResponse, Status>> {
    let (mut client, request) = (service.client.clone(), request.clone());
    tokio::spawn(async move { client.link(request).await.map(Response::into_inner) })
}

/// A `Link` that waits no longer than this.
async fn within(
    limit: Duration,
    service: &Service,
    request: LinkRequest,
) -> Result<LinkResponse, Status> {
    let mut request = Request::new(request);
    request.set_timeout(limit);
    service.client.clone().link(request).await.map(Response::into_inner)
}

/// Kills the service in the middle of whatever it does, and starts another on what it left.
async fn restart_after_kill(stack: &mut Stack) {
    stack.service.process.signal(Signal::SIGKILL);
    stack.service.process.ended().await;
    stack.service = stack.replica().await;
}

/// Stops the service as an operator does, and asserts that it ends well.
async fn stop(stack: &mut Stack) {
    stack.service.process.signal(Signal::SIGTERM);
    let status = stack.service.process.ended().await;
    assert!(status.success(), "{status}: {}", stack.service.process.printed());
}
