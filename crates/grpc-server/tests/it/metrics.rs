//! Every call is counted once, by its RPC and its code. Each happens twice, so that a count is told from a mark.

use std::sync::Arc;

use ig_domain::Role;
use ig_metrics::TextFormat;
use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use ig_test_support::callers::{Known, caller};
use rstest::rstest;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::two_owners::by;
use crate::world::{Stuck, TonicClient, World};

fn get_request(username: &str) -> Request<v1::GetRequest> {
    let key = Some(Key::Username(username.to_owned()));
    Request::new(v1::GetRequest { key, owner: None })
}

impl World {
    /// Samples that are not zero and whose names begin like this, without the common prefix.
    fn counted(&self, beginning: &str) -> Vec<String> {
        let text = self.registry.lock().unwrap().text(TextFormat::OpenMetrics).unwrap();
        let samples = text.lines().filter_map(|line| line.strip_prefix("test_"));
        let counted = samples.filter(|line| line.starts_with(beginning) && !line.ends_with(" 0"));
        counted.map(str::to_owned).collect()
    }
}

async fn refused(mut client: TonicClient) {
    client.get(get_request("")).await.unwrap_err();
}

async fn answered(mut client: TonicClient) {
    client.list(v1::ListRequest::default()).await.unwrap();
}

#[rstest]
#[case::answered(answered, "rpcs_total{method=\"List\",code=\"OK\"} 2")]
#[case::refused(refused, "rpcs_total{method=\"Get\",code=\"INVALID_ARGUMENT\"} 2")]
#[tokio::test]
async fn a_call_is_counted_by_rpc_and_code<F: Future<Output = ()>>(
    #[case] call: impl Fn(TonicClient) -> F,
    #[case] expected: &str,
) {
    let world = World::new();
    let client = world.client().await;
    call(client.clone()).await;
    call(client).await;
    assert_eq!(world.counted("rpcs_total"), [expected]);
    let timed = world.counted("rpc_duration_seconds_count");
    assert!(matches!(&timed[..], [one] if one.ends_with("} 2")), "{timed:?}");
}

#[tokio::test]
async fn a_call_whose_deadline_passed_is_counted_so() {
    let world = World { accounts: Arc::new(Stuck::default()), ..World::new() };
    let server = world.serve().await;
    let mut client = server.client_without_deadline();
    for _ in 0..2 {
        let mut request = get_request("account_1");
        request.metadata_mut().insert("grpc-timeout", "1m".parse().unwrap());
        client.get(request).await.unwrap_err();
    }
    let expected = ["rpcs_total{method=\"Get\",code=\"DEADLINE_EXCEEDED\"} 2"];
    assert_eq!(world.counted("rpcs_total"), expected);
}

#[rstest]
#[case::nobody("nobody", "UNAUTHENTICATED")]
#[case::without_the_role("clerk", "PERMISSION_DENIED")]
#[tokio::test]
async fn a_call_that_is_not_let_in_is_counted_as_refused(#[case] token: &str, #[case] code: &str) {
    let mut world = World::new();
    world.callers = Known::of([caller("clerk", &[Role::Link], "*")]);
    let mut client = world.client().await;
    for _ in 0..2 {
        client.list(by(token, v1::ListRequest::default())).await.unwrap_err();
    }
    let expected = format!("rpcs_total{{method=\"List\",code=\"{code}\"}} 2");
    assert_eq!(world.counted("rpcs_total"), [expected]);
    assert_eq!(world.counted("rpcs_in_flight"), [""; 0]);
}

#[tokio::test]
async fn a_panic_is_counted_as_internal() {
    let world = World { accounts: Arc::new(Stuck::default()), ..World::new() };
    let mut client = world.client().await;
    for _ in 0..2 {
        client.list(v1::ListRequest::default()).await.unwrap_err();
    }
    let expected = ["rpcs_total{method=\"List\",code=\"INTERNAL\"} 2"];
    assert_eq!(world.counted("rpcs_total"), expected);
}

#[tokio::test]
async fn a_call_is_in_flight_until_its_caller_gives_it_up_and_is_cancelled_then() {
    let stuck = Stuck::default();
    let world = World { accounts: Arc::new(stuck.clone()), ..World::new() };
    let mut client = world.client().await;
    tokio::select! {
        _ = client.get(get_request("account_1")) => panic!("the store is stuck"),
        () = stuck.entered.notified() => {}
    }
    assert_eq!(world.counted("rpcs_in_flight"), ["rpcs_in_flight 1"]);
    assert_eq!(world.counted("grpc_connections"), ["grpc_connections 1"]);
    drop(client);
    while world.counted("rpcs_total").is_empty() {
        tokio::task::yield_now().await;
    }
    let expected = ["rpcs_total{method=\"Get\",code=\"CANCELLED\"} 1"];
    assert_eq!(world.counted("rpcs_total"), expected);
    assert_eq!(world.counted("rpcs_in_flight"), [""; 0]);
}

#[tokio::test]
async fn what_is_no_rpc_of_ours_is_counted_under_one_name() {
    let world = World::new();
    let channel = world.serve().await.channel().await;
    for _ in 0..2 {
        HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    }
    for path in ["/instagram.accounts.v1.InstagramAccountService/Nothing", "/nobody.Home/Knocks"] {
        let mut client = tonic::client::Grpc::new(channel.clone());
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<v1::GetRequest, v1::GetResponse>::default();
        let request = Request::new(v1::GetRequest::default());
        client.unary(request, path.parse().unwrap(), codec).await.unwrap_err();
    }
    let expected = [
        "rpcs_total{method=\"other\",code=\"OK\"} 2",
        "rpcs_total{method=\"other\",code=\"UNIMPLEMENTED\"} 2",
    ];
    let mut counted = world.counted("rpcs_total");
    counted.sort();
    assert_eq!(counted, expected);
}
