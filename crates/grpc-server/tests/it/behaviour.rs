//! Deadlines, request ids and panics, which the layer handles for every call.

use std::sync::Arc;
use std::time::Duration;

use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use rstest::rstest;
use tonic::{Code, Request};

use crate::world::{Stuck, World, assert_refused};

fn get_request() -> Request<v1::GetRequest> {
    let key = Some(Key::Username("account_1".to_owned()));
    Request::new(v1::GetRequest { key, owner: None })
}

#[rstest]
#[case::milliseconds("50m")]
#[case::nothing_at_all("0n")]
#[tokio::test]
async fn a_passed_deadline_is_told_as_such(#[case] timeout: &str) {
    let world = World { accounts: Arc::new(Stuck::default()), ..World::new() };
    let mut client = world.serve().await.client_without_deadline();
    let mut request = get_request();
    request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
    let status = client.get(request).await.unwrap_err();
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED", &[]);
}

#[tokio::test]
async fn a_deadline_is_told_as_such_every_time() {
    let world = World { accounts: Arc::new(Stuck::default()), ..World::new() };
    let client = world.serve().await.client_without_deadline();
    let calls = (0..200).map(|_| {
        let mut client = client.clone();
        async move {
            let mut request = get_request();
            request.metadata_mut().insert("grpc-timeout", "20m".parse().unwrap());
            client.get(request).await.unwrap_err().code()
        }
    });
    let codes = futures_util::future::join_all(calls).await;
    assert!(codes.iter().all(|code| *code == Code::DeadlineExceeded), "{codes:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_a_caller_waits_thirty_seconds() {
    let world = World { accounts: Arc::new(Stuck::default()), ..World::new() };
    let mut client = world.client().await;
    let start = tokio::time::Instant::now();
    let status = client.get(get_request()).await.unwrap_err();
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED", &[]);
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn a_request_id_comes_back_with_successes_and_failures() {
    let mut client = World::new().client().await;
    let mut request = Request::new(v1::ListRequest::default());
    request.metadata_mut().insert("x-request-id", "from the caller".parse().unwrap());
    let listed = client.list(request).await.unwrap();
    assert_eq!(listed.metadata().get("x-request-id").unwrap(), "from the caller");
    let mut request = get_request();
    request.metadata_mut().insert("x-request-id", "from the caller".parse().unwrap());
    let status = client.get(request).await.unwrap_err();
    let details = assert_refused(&status, Code::NotFound, "ACCOUNT_NOT_FOUND", &[]);
    assert_eq!(details.request_info().unwrap().request_id, "from the caller");
}

#[rstest]
#[case::absent(None)]
#[case::too_long(Some("x".repeat(129)))]
#[tokio::test]
async fn a_request_id_is_made_where_there_is_no_sound_one(#[case] given: Option<String>) {
    let mut client = World::new().client().await;
    let mut request = Request::new(v1::ListRequest::default());
    if let Some(given) = given {
        request.metadata_mut().insert("x-request-id", given.parse().unwrap());
    }
    let listed = client.list(request).await.unwrap();
    assert_eq!(listed.metadata().get("x-request-id").unwrap(), "made-1");
}

#[rstest]
#[tokio::test]
async fn a_panic_ends_its_own_call_only(#[values(false, true)] connection_runtimes: bool) {
    let stuck = Stuck::default();
    let world = World { accounts: Arc::new(stuck.clone()), connection_runtimes, ..World::new() };
    let mut client = world.client().await;
    let mut other = client.clone();
    let waiting = tokio::spawn(async move { other.get(get_request()).await });
    stuck.entered.notified().await;
    let status = client.list(v1::ListRequest::default()).await.unwrap_err();
    assert_refused(&status, Code::Internal, "INTERNAL", &[]);
    assert!(!status.message().contains("planted"), "{}", status.message());
    stuck.released.notify_one();
    let status = waiting.await.unwrap().unwrap_err();
    assert_refused(&status, Code::NotFound, "ACCOUNT_NOT_FOUND", &[]);
}

#[rstest]
#[case::an_unknown_method("Nothing", Code::Unimplemented)]
#[case::a_message_that_cannot_be_decoded("Get", Code::Internal)]
#[tokio::test]
async fn what_reaches_no_rpc_gets_the_transports_own_status(
    #[case] method: &str,
    #[case] expected: Code,
) {
    let channel = World::new().serve().await.channel().await;
    let mut client = tonic::client::Grpc::new(channel);
    tokio::time::timeout(Duration::from_secs(10), client.ready()).await.unwrap().unwrap();
    let path = format!("/instagram.accounts.v1.InstagramAccountService/{method}");
    // Its first field is a number, where a request of `Get` has a text.
    let message = prost_types::Duration { seconds: 1, nanos: 0 };
    let codec = tonic_prost::ProstCodec::<prost_types::Duration, v1::GetResponse>::default();
    let answer = client.unary(Request::new(message), path.parse().unwrap(), codec).await;
    let status = answer.unwrap_err();
    assert_eq!((status.code(), status.details()), (expected, [].as_slice()));
}
