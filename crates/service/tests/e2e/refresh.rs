//! Fate of a stored account: renewed, dead, healed, or left alone.

use ig_proto::v1::get_request::Key;
use ig_proto::v1::{AccountStatus, ReauthorizationReason, TokenOutcome};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::sandbox::BAKERY;
use crate::support::{A_DAY_LATER, HOUR, Stack, reason, refusal};

/// Longer than a token lives, in seconds.
const SIXTY_DAYS: i64 = 60 * 24 * HOUR;

#[rstest]
#[case::password("password_changed", ReauthorizationReason::PasswordChanged, "PASSWORD_CHANGED")]
#[case::app_removed("app_removed", ReauthorizationReason::TokenRevoked, "TOKEN_REVOKED")]
#[case::checkpoint("checkpoint", ReauthorizationReason::Checkpoint, "CHECKPOINT")]
#[tokio::test]
async fn a_revoked_token_is_found_out_and_its_reason_told(
    #[case] revocation: &str,
    #[case] expected: ReauthorizationReason,
    #[case] name: &str,
    #[values(0, A_DAY_LATER)] age: i64,
) {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let account = service.linked(sandbox, "", BAKERY).await;
    stack.advance(age).await;
    sandbox.revoke(BAKERY, revocation).await;
    let refused = refusal(service.refresh(&account.account_id).await);
    assert_eq!(refused.reason, "REAUTHORIZATION_REQUIRED");
    assert_eq!(refused.metadata["reauthorization_reason"], name);
    assert_eq!(refused.metadata["instagram_code"], "190");
    assert!(!refused.metadata["fbtrace_id"].is_empty());
    let dead = service.get(Key::AccountId(account.account_id)).await.unwrap();
    assert_eq!(dead.status(), AccountStatus::ReauthorizationRequired);
    assert_eq!(dead.reauthorization_reason(), expected);
    let alive = service.linked(sandbox, "", BAKERY).await;
    assert_eq!(alive.status(), AccountStatus::Active);
    assert_eq!(alive.account_id, dead.account_id);
}

#[rstest]
#[case::young(0, TokenOutcome::TooYoung)]
#[case::a_day_old(A_DAY_LATER, TokenOutcome::Renewed)]
#[tokio::test]
async fn a_cleared_checkpoint_heals(#[case] age: i64, #[case] outcome: TokenOutcome) {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let account = service.linked(sandbox, "", BAKERY).await;
    stack.advance(age).await;
    sandbox.revoke(BAKERY, "checkpoint").await;
    assert_eq!(reason(service.refresh(&account.account_id).await), "REAUTHORIZATION_REQUIRED");
    sandbox.revoke(BAKERY, "checkpoint_cleared").await;
    let healed = service.refresh(&account.account_id).await.unwrap();
    assert_eq!(healed.token_outcome(), outcome);
    assert_eq!(healed.account.unwrap().status(), AccountStatus::Active);
}

#[tokio::test]
async fn an_expired_token_is_dead_whoever_looks_and_nobody_is_asked() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let account = service.linked(sandbox, "", BAKERY).await;
    let asked = sandbox.requests("me").await.len();
    stack.advance(SIXTY_DAYS).await;
    let dead = service.get(Key::AccountId(account.account_id.clone())).await.unwrap();
    assert_eq!(dead.status(), AccountStatus::ReauthorizationRequired);
    assert_eq!(dead.reauthorization_reason(), ReauthorizationReason::TokenExpired);
    let refused = refusal(service.refresh(&account.account_id).await);
    assert_eq!(refused.reason, "REAUTHORIZATION_REQUIRED");
    assert_eq!(refused.metadata["reauthorization_reason"], "TOKEN_EXPIRED");
    assert_eq!(sandbox.requests("me").await.len(), asked);
    assert!(sandbox.requests("refresh").await.is_empty());
}

#[rstest]
#[case::throttled(graph_error(400, 4, "(#4) Application request limit reached"), "RATE_LIMITED")]
#[case::outage(graph_error(500, 2, "Service temporarily unavailable"), "INSTAGRAM_UNAVAILABLE")]
#[case::reset(json!({ "connection": "reset" }), "INSTAGRAM_UNAVAILABLE")]
#[case::cut(json!({ "connection": "cut" }), "INSTAGRAM_UNAVAILABLE")]
#[case::refused_once(
    graph_error(400, 190, "Error validating access token: The session is invalid"),
    "INSTAGRAM_UNAVAILABLE"
)]
#[tokio::test]
async fn trouble_at_instagram_changes_no_account(#[case] mut fault: Value, #[case] expected: &str) {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let account = service.linked(sandbox, "", BAKERY).await;
    stack.advance(A_DAY_LATER).await;
    fault["endpoint"] = "refresh".into();
    sandbox.fault(fault).await;
    assert_eq!(reason(service.refresh(&account.account_id).await), expected);
    let key = Key::AccountId(account.account_id.clone());
    assert_eq!(service.get(key).await.unwrap(), account);
    sandbox.clear_faults().await;
    // Throttling is remembered for a minute.
    stack.advance(60).await;
    let renewed = service.refresh(&account.account_id).await.unwrap();
    assert_eq!(renewed.token_outcome(), TokenOutcome::Renewed);
}

#[tokio::test]
async fn a_restricted_app_changes_no_account() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let account = service.linked(sandbox, "", BAKERY).await;
    let restrict = async |state: &str| {
        sandbox.control(Method::POST, "app", Some(json!({ "state": state }))).await;
    };
    let key = Key::AccountId(account.account_id.clone());
    for age in [0, A_DAY_LATER] {
        stack.advance(age).await;
        restrict("restricted").await;
        assert_eq!(reason(service.refresh(&account.account_id).await), "APP_MISCONFIGURED");
        assert_eq!(service.get(key.clone()).await.unwrap(), account);
    }
    restrict("ok").await;
    let renewed = service.refresh(&account.account_id).await.unwrap();
    assert_eq!(renewed.token_outcome(), TokenOutcome::Renewed);
}

#[tokio::test]
async fn a_profile_that_cannot_be_read_after_a_renewal_is_no_error() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let account = service.linked(sandbox, "", BAKERY).await;
    stack.advance(A_DAY_LATER).await;
    sandbox.fault(json!({ "endpoint": "me", "status": 500, "body": "" })).await;
    let renewed = service.refresh(&account.account_id).await.unwrap();
    assert_eq!(renewed.token_outcome(), TokenOutcome::Renewed);
    assert_eq!(renewed.account.unwrap().profile_time, account.profile_time);
    // Too young now, reading the profile is all that is left to do.
    assert_eq!(reason(service.refresh(&account.account_id).await), "INSTAGRAM_UNAVAILABLE");
}

/// An answer as Graph gives it.
fn graph_error(status: u16, code: u32, message: &str) -> Value {
    let error = json!({ "message": message, "type": "OAuthException", "code": code });
    json!({ "status": status, "body": { "error": error } })
}
