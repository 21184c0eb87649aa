//! What happened is in `/metrics`, to the number.

use ig_proto::v1::get_request::Key;

use crate::support::probes::Probes;
use crate::support::sandbox::BAKERY;
use crate::support::{Stack, reason};

#[tokio::test]
async fn what_was_called_is_counted_as_it_ended() {
    let Stack { sandbox, service, .. } = &Stack::start().await;
    let probes = Probes::of(service);
    let account = service.linked(sandbox, "shop/7", BAKERY).await;
    for _ in 0..3 {
        service.get(Key::AccountId(account.account_id.clone())).await.unwrap();
    }
    let nobody = service.get(Key::Username("nobody".to_owned())).await;
    assert_eq!(reason(nobody), "ACCOUNT_NOT_FOUND");

    let metrics = probes.metrics().await;
    for (sample, expected) in [
        (r#"rpcs_total{method="BeginLink",code="OK"}"#, 1),
        (r#"rpcs_total{method="Link",code="OK"}"#, 1),
        (r#"rpcs_total{method="Get",code="OK"}"#, 3),
        (r#"rpcs_total{method="Get",code="NOT_FOUND"}"#, 1),
        (r#"rpc_duration_seconds_count{method="Get"}"#, 4),
        ("rpcs_in_flight", 0),
        ("grpc_connections", 1),
        ("ready", 1),
    ] {
        assert_eq!(metrics.value(sample), expected, "{sample}");
    }
}
