//! A stop is not held up by what clients leave open, and ends well all the same.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use ig_proto::v1::LinkResponse;
use nix::sys::signal::Signal;
use rstest::rstest;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::support::sandbox::BAKERY;
use crate::support::{Service, Stack};

#[tokio::test]
async fn open_streams_do_not_hold_up_a_stop() {
    let mut stack = Stack::start().await;
    let channel = endpoint(&stack.service).connect().await.unwrap();
    let listing = [MessageRequest::ListServices(String::new())];
    let mut answers = reflection(channel.clone(), listing).await;
    answers.message().await.unwrap().unwrap();
    let watch = HealthClient::new(channel).watch(HealthCheckRequest::default()).await;
    let mut statuses = watch.unwrap().into_inner();
    let (status, took) = stopped(&mut stack.service).await;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "{took:?} of the usual 30 s");
    assert!(answers.message().await.unwrap().is_none(), "the stream ends by itself");
    while statuses.message().await.unwrap().is_some() {}
}

#[tokio::test]
async fn a_stopped_service_leaves_all_in_the_database_file_itself() {
    let mut stack = Stack::start().await;
    stack.service.linked(&stack.sandbox, "shop/7", BAKERY).await;
    let (status, _) = stopped(&mut stack.service).await;
    assert!(status.success(), "{status}");
    let files = std::fs::read_dir(stack.folder.path()).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["accounts.db"], "a copy of the file alone would lose the account");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_the_stop_ends_well() {
    let mut stack = Stack::start_with(&[("SHUTDOWN_TIMEOUT", "2s")]).await;
    // Room for the names of the services, not for a file.
    let narrow = endpoint(&stack.service).initial_stream_window_size(1024);
    let asked = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol(
            "instagram.accounts.v1.InstagramAccountService".to_owned(),
        ),
    ];
    let mut answers = reflection(narrow.connect().await.unwrap(), asked).await;
    answers.message().await.unwrap().unwrap();
    let (status, took) = stopped(&mut stack.service).await;
    assert!(status.success(), "{status} after {took:?}");
    let log = stack.service.process.printed();
    assert!(log.contains("calls took too long to finish; cut"), "{log}");
}

#[rstest]
#[case::the_limit_passes("1s", None)]
#[case::told_again_after_a_second("30s", Some(Signal::SIGINT))]
#[tokio::test]
async fn work_that_is_left_behind_is_told_by_the_exit_code(
    #[case] limit: &str,
    #[case] second: Option<Signal>,
) {
    let mut stack = Stack::start_with(&[("SHUTDOWN_TIMEOUT", limit)]).await;
    let call = link_under_way(&stack, Duration::from_mins(2)).await;
    stack.service.process.signal(Signal::SIGTERM);
    stack.service.process.line_with("stopping");
    let ended = match second {
        // Within the first second it is the same stop.
        Some(second) => stack.service.process.ended_by(second).await,
        None => stack.service.process.ended().await,
    };
    assert_eq!(ended.code(), Some(1));
    stack.service.process.line_with("what is under way is given up");
    call.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn two_signals_at_once_are_one_stop_that_gives_nothing_up() {
    let mut stack = Stack::start().await;
    let call = link_under_way(&stack, Duration::from_secs(1)).await;
    stack.service.process.signal(Signal::SIGTERM);
    stack.service.process.signal(Signal::SIGINT);
    assert!(stack.service.process.ended().await.success());
    stack.service.process.line_with("this is the same stop");
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_hangup_stops_nothing() {
    let mut stack = Stack::start().await;
    stack.service.process.signal(Signal::SIGHUP);
    stack.service.process.line_with("SIGHUP changes nothing");
    stack.service.linked(&stack.sandbox, "shop/7", BAKERY).await;
    let (status, _) = stopped(&mut stack.service).await;
    assert!(status.success(), "{status}");
}

/// A link whose code is at Instagram, which answers after `delay`.
async fn link_under_way(
    stack: &Stack,
    delay: Duration,
) -> JoinHandle<Result<Response<LinkResponse>, Status>> {
    let request = stack.service.consent(&stack.sandbox, "shop/7", BAKERY).await;
    let delay = u64::try_from(delay.as_millis()).unwrap();
    stack.sandbox.fault(json!({ "endpoint": "token", "delay_ms": delay })).await;
    let mut client = stack.service.client.clone();
    let call = tokio::spawn(async move { client.link(request).await });
    stack.sandbox.reached("token", 1).await;
    call
}

fn endpoint(service: &Service) -> Endpoint {
    Channel::from_shared(format!("http://{}", service.address)).unwrap()
}

/// Asks, and keeps the stream open.
async fn reflection<const N: usize>(
    channel: Channel,
    asked: [MessageRequest; N],
) -> Streaming<ServerReflectionResponse> {
    let asked = ServerReflectionClient::new(channel).server_reflection_info(open(asked)).await;
    asked.unwrap().into_inner()
}

fn open<const N: usize>(asked: [MessageRequest; N]) -> impl Stream<Item = ServerReflectionRequest> {
    let asked = asked.map(|asked| ServerReflectionRequest {
        message_request: Some(asked),
        ..Default::default()
    });
    tokio_stream::iter(asked).chain(tokio_stream::pending())
}

/// Stops the service as an operator does; returns its exit status, and the time that it took.
async fn stopped(service: &mut Service) -> (ExitStatus, Duration) {
    let begin = Instant::now();
    service.process.signal(Signal::SIGTERM);
    (service.process.ended().await, begin.elapsed())
}
