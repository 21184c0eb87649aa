//! Webhook subscriptions over the wire: made after a link, shown, and ended by an unlink.

use std::time::{Duration, Instant};

use ig_proto::v1::get_request::Key;
use ig_proto::v1::{BeginLinkRequest, InstagramAccount, WebhookSubscription};
use serde_json::json;

use crate::support::sandbox::{BAKERY, Decision};
use crate::support::{Sandbox, Service, Stack, arrival, eventually};

const SUBSCRIBES: &[(&str, &str)] = &[("KEEPER", "true"), ("WEBHOOK_FIELDS", "comments,messages")];

/// Maximum time from a link to its subscription.
const MAX_SUBSCRIBE_TIME: Duration = Duration::from_secs(30);

/// Maximum time of an unlink whose subscription cannot be ended.
const MAX_UNLINK_TIME: Duration = Duration::from_secs(7);

/// Links an account that grants comments, and no messages.
async fn linked(service: &Service, sandbox: &Sandbox) -> InstagramAccount {
    let scopes = vec!["instagram_business_manage_comments".to_owned()];
    let begun = service.begin_as(BeginLinkRequest { scopes, ..Default::default() }).await;
    let arrived = sandbox.decide(&begun.authorization_url, BAKERY, Decision::Allow).await;
    service.link(arrival(arrived, "")).await.unwrap().account.unwrap()
}

/// Waits for a subscription that `is_so`.
async fn shown(
    service: &Service,
    account: &InstagramAccount,
    is_so: impl Fn(&WebhookSubscription) -> bool,
) -> InstagramAccount {
    eventually("the subscription is shown", async || {
        let found = service.get(Key::AccountId(account.account_id.clone())).await.unwrap();
        found.webhook_subscription.as_ref().is_some_and(&is_so).then_some(found)
    })
    .await
}

#[tokio::test]
async fn a_linked_account_is_subscribed_within_half_a_minute_and_unsubscribed_by_unlink() {
    let stack = Stack::start_with(SUBSCRIBES).await;
    let Stack { sandbox, service, .. } = &stack;
    let begin = Instant::now();
    let account = linked(service, sandbox).await;
    assert_eq!(account.webhook_subscription, None);
    let subscribed = shown(service, &account, |subscription| subscription.active).await;
    assert!(begin.elapsed() < MAX_SUBSCRIBE_TIME);
    assert_eq!(subscribed.webhook_subscription.unwrap().last_error, "");
    assert_eq!(subscribed.revision, account.revision + 1);
    service.unlink(&account.account_id).await.unwrap();
    let requests = sandbox.requests("subscribed_apps").await;
    let calls: Vec<_> =
        requests.iter().map(|row| (row["method"].as_str().unwrap(), &row["status"])).collect();
    let ok = json!(200);
    assert_eq!(calls, [("GET", &ok), ("POST", &ok), ("DELETE", &ok)]);
    assert_eq!(requests[1]["params"], json!({ "subscribed_fields": "comments" }));
}

#[tokio::test]
async fn no_success_is_a_failure_that_is_shown_and_mended() {
    let stack = Stack::start_with(SUBSCRIBES).await;
    let Stack { sandbox, service, .. } = &stack;
    let fault = json!({ "endpoint": "subscribed_apps", "body": { "success": false, "data": [] } });
    sandbox.fault(fault).await;
    let account = linked(service, sandbox).await;
    let failed = shown(service, &account, |subscription| !subscription.active).await;
    assert_eq!(failed.status(), account.status());
    assert_eq!(failed.webhook_subscription.unwrap().last_error, "INSTAGRAM_UNEXPECTED");
    sandbox.clear_faults().await;
    // Past the time of the next try, which is within two minutes.
    stack.advance(130).await;
    let mended = shown(service, &account, |subscription| subscription.active).await;
    assert_eq!(mended.webhook_subscription.unwrap().last_error, "");
}

#[tokio::test]
async fn an_unlink_does_not_wait_for_an_instagram_that_hangs() {
    let stack = Stack::start_with(SUBSCRIBES).await;
    let Stack { sandbox, service, .. } = &stack;
    let account = linked(service, sandbox).await;
    shown(service, &account, |subscription| subscription.active).await;
    sandbox.fault(json!({ "endpoint": "subscribed_apps", "delay_ms": 60_000 })).await;
    let begin = Instant::now();
    service.unlink(&account.account_id).await.unwrap();
    assert!(begin.elapsed() < MAX_UNLINK_TIME, "{:?}", begin.elapsed());
    let missing = service.get(Key::AccountId(account.account_id)).await;
    assert_eq!(crate::support::reason(missing), "ACCOUNT_NOT_FOUND");
    assert!(!sandbox.requests("subscribed_apps").await.is_empty());
}
