//! Errors of Instagram about an account, about the app, or about itself.

use reqwest::Method;
use serde_json::{Value, json};

use super::{OWNER, Refusals};
use crate::support::sandbox::{BAKERY, CREATOR};
use crate::support::{A_DAY_LATER, Stack};

pub(super) async fn refused() -> Refusals {
    let stack = &Stack::start().await;
    let Stack { sandbox, service, .. } = stack;
    let mut refusals = Refusals::default();
    let account = service.linked(sandbox, OWNER, BAKERY).await;
    let refresh = json!({"account_id": account.account_id});

    let limit = json!({"error": {"message": "(#4) Application request limit reached",
        "type": "OAuthException", "code": 4, "error_subcode": 1_349_210, "fbtrace_id": "ATrace4"}});
    sandbox
        .fault(json!({"endpoint": "me", "times": 1, "status": 403, "body": limit,
            "headers": {"Retry-After": "120"}}))
        .await;
    let printed = refusals.call(service, "Refresh", &refresh);
    assert_eq!(printed.reason(), "RATE_LIMITED");
    assert_eq!(printed.detail("RetryInfo")["retryDelay"], "120s");
    let facts =
        [("fbtrace_id", "ATrace4"), ("instagram_code", "4"), ("instagram_subcode", "1349210")];
    assert_eq!(printed.facts().into_iter().collect::<Vec<_>>(), facts);
    // Until then it is answered from memory.
    assert_eq!(refusals.call(service, "Refresh", &refresh).reason(), "RATE_LIMITED");
    stack.advance(120).await;

    sandbox.fault(json!({"endpoint": "me", "status": 503, "body": "<html>busy</html>"})).await;
    assert_eq!(refusals.call(service, "Refresh", &refresh).reason(), "INSTAGRAM_UNAVAILABLE");
    sandbox.clear_faults().await;

    sandbox.fault(json!({"endpoint": "me", "times": 1, "status": 200, "body": "what?"})).await;
    assert_eq!(refusals.call(service, "Refresh", &refresh).reason(), "INSTAGRAM_UNEXPECTED");

    restrict(stack, "restricted").await;
    let printed = refusals.call(service, "Refresh", &refresh);
    assert_eq!((printed.reason(), printed.facts()["instagram_code"]), ("APP_MISCONFIGURED", "100"));
    restrict(stack, "ok").await;

    // None of this was the account's fault.
    service.refresh(&account.account_id).await.unwrap();

    stack.advance(20 * A_DAY_LATER).await;
    sandbox.fault(json!({"endpoint": "refresh", "status": 503, "body": ""})).await;
    let fetch = json!({"account_id": account.account_id, "min_ttl": "4320000s"});
    let printed = refusals.call(service, "FetchAccessToken", &fetch);
    assert_eq!(printed.reason(), "MIN_TTL_UNMET");
    assert_eq!(printed.facts()["cause"], "INSTAGRAM_UNAVAILABLE");
    assert_same_moment(printed.facts()["expire_time"], account.token_expire_time.unwrap());
    sandbox.clear_faults().await;

    let token = sandbox.token(CREATOR, 0).await;
    sandbox.revoke(CREATOR, "password_changed").await;
    let import = json!({"access_token": token, "owner": OWNER});
    let printed = refusals.call(service, "Import", &import);
    assert_eq!((printed.reason(), printed.facts()["instagram_code"]), ("TOKEN_REJECTED", "190"));
    sandbox.revoke(BAKERY, "password_changed").await;
    let printed = refusals.call(service, "Refresh", &refresh);
    assert_eq!(printed.reason(), "REAUTHORIZATION_REQUIRED");
    assert_eq!(printed.facts()["reauthorization_reason"], "PASSWORD_CHANGED");
    assert_same_moment(printed.facts()["expire_time"], account.token_expire_time.unwrap());
    refusals
}

/// To the second.
fn assert_same_moment(text: &str, moment: prost_types::Timestamp) {
    let parsed = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
    assert_eq!(parsed.unwrap().unix_timestamp(), moment.seconds);
}

async fn restrict(stack: &Stack, state: &str) {
    let body: Value = json!({ "state": state });
    stack.sandbox.control(Method::POST, "app", Some(body)).await;
}
