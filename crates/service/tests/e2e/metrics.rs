//! `/metrics` counts what happened, to the number.

use ig_proto::v1::get_request::Key;
use serde_json::json;

use crate::support::probes::Probes;
use crate::support::sandbox::{BAKERY, CREATOR, Decision};
use crate::support::{A_DAY_LATER, HOUR, Stack, arrival, eventually, reason};

#[tokio::test]
async fn what_was_called_is_counted_as_it_ended() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let probes = Probes::of(service);
    let request = service.consent(sandbox, "shop/7", BAKERY).await;
    let account = service.link(request.clone()).await.unwrap().account.unwrap();
    service.link(request).await.unwrap();
    let other = service.linked(sandbox, "shop/8", CREATOR).await;
    for _ in 0..3 {
        service.get(Key::AccountId(account.account_id.clone())).await.unwrap();
    }
    let handed = service.fetch(&account.account_id, 0).await.unwrap();
    service.fetch(&other.account_id, 0).await.unwrap();
    for _ in 0..2 {
        let nobody = service.get(Key::Username("nobody".to_owned())).await;
        assert_eq!(reason(nobody), "ACCOUNT_NOT_FOUND");
    }
    assert_counted(
        &probes,
        &[
            (r#"rpcs_total{method="Link",code="OK"}"#, 3),
            (r#"rpcs_total{method="Get",code="OK"}"#, 3),
            (r#"rpcs_total{method="Get",code="NOT_FOUND"}"#, 2),
            (r#"rpc_duration_seconds_count{method="Get"}"#, 5),
            (r#"tokens_handed_out_total{caller="anonymous"}"#, 2),
            ("rpcs_in_flight", 0),
            ("grpc_connections", 1),
            ("ready", 1),
            (r#"links_total{outcome="created"}"#, 2),
            (r#"instagram_requests_total{endpoint="code_exchange",outcome="ok"}"#, 2),
            (r#"instagram_requests_total{endpoint="profile",outcome="ok"}"#, 2),
            (r#"instagram_request_duration_seconds_count{endpoint="profile"}"#, 2),
            (r#"store_calls_total{operation="complete_link",outcome="ok"}"#, 2),
            (r#"store_call_duration_seconds_count{operation="complete_link"}"#, 2),
        ],
    )
    .await;

    stack.advance(A_DAY_LATER).await;
    sandbox.fault(json!({ "endpoint": "refresh", "times": 6, "status": 503, "body": "" })).await;
    for linked in [&account, &other] {
        service.refresh(&linked.account_id).await.unwrap_err();
    }
    for linked in [&account, &other] {
        service.refresh(&linked.account_id).await.unwrap();
        let begun = service.begin("shop/7").await;
        let without = Decision::AllowOnly("instagram_business_content_publish");
        let arrived = sandbox.decide(&begun.authorization_url, CREATOR, without).await;
        assert_eq!(reason(service.link(arrival(arrived, "shop/7")).await), "SCOPE_MISSING");
    }
    for (linked, username) in [(&account, BAKERY), (&other, CREATOR)] {
        sandbox.revoke(username, "password_changed").await;
        for _ in 0..2 {
            let refreshed = service.refresh(&linked.account_id).await;
            assert_eq!(reason(refreshed), "REAUTHORIZATION_REQUIRED");
        }
        let fetched = service.fetch(&linked.account_id, 0).await;
        assert_eq!(reason(fetched), "REAUTHORIZATION_REQUIRED");
    }
    assert_counted(
        &probes,
        &[
            (r#"links_total{outcome="created"}"#, 2),
            (r#"links_total{outcome="scope_missing"}"#, 2),
            (r#"renewals_total{outcome="unavailable"}"#, 2),
            (r#"renewals_total{outcome="renewed"}"#, 2),
            (r#"renewals_total{outcome="rejected"}"#, 0),
            (r#"refused_accounts_total{reason="password_changed"}"#, 2),
            (r#"instagram_requests_total{endpoint="token_renewal",outcome="unavailable"}"#, 6),
            (r#"instagram_requests_total{endpoint="token_renewal",outcome="ok"}"#, 2),
            (r#"rpcs_total{method="Refresh",code="FAILED_PRECONDITION"}"#, 4),
            (r#"rpcs_total{method="FetchAccessToken",code="FAILED_PRECONDITION"}"#, 2),
            (r#"tokens_handed_out_total{caller="anonymous"}"#, 2),
        ],
    )
    .await;
    let (_, text) = probes.ask("/metrics").await;
    for secret in [&handed.access_token, &account.account_id, &account.professional_account_id] {
        assert!(!text.contains(secret.as_str()), "{text}");
    }
}

#[tokio::test]
async fn all_replicas_show_one_survey_of_all_accounts() {
    let stack = Stack::start().await;
    let replica = stack.replica().await;
    let Stack { sandbox, service, .. } = &stack;
    service.linked(sandbox, "shop/7", BAKERY).await;
    let dead = service.linked(sandbox, "shop/8", CREATOR).await;
    sandbox.revoke(CREATOR, "password_changed").await;
    service.refresh(&dead.account_id).await.unwrap_err();
    sandbox.advance(2 * 60).await;
    for service in [service, &replica] {
        let probes = Probes::of(service);
        eventually("the accounts are counted", async || {
            let (_, text) = probes.ask("/metrics").await;
            text.contains("instagram_accounts_accounts{status=\"active\"} 1\n").then_some(())
        })
        .await;
        let metrics = probes.metrics().await;
        for (sample, expected) in [
            (r#"accounts{status="reauthorization_required"}"#, 1),
            ("due", 0),
            ("overdue", 0),
            (r#"in_trouble{cause="RATE_LIMITED"}"#, 0),
            ("breaker_open", 0),
            ("accounts_of_other_apps", 0),
            (r#"store_calls_total{operation="survey",outcome="unavailable"}"#, 0),
        ] {
            assert_eq!(metrics.value(sample), expected, "{sample}");
        }
        let left = metrics.value("first_expiry_seconds");
        assert!((59 * 24 * HOUR..=60 * 24 * HOUR).contains(&left), "{left}");
    }
}

async fn assert_counted(probes: &Probes, expected: &[(&str, i64)]) {
    let metrics = probes.metrics().await;
    for (sample, expected) in expected {
        assert_eq!(metrics.value(sample), *expected, "{sample}");
    }
}
