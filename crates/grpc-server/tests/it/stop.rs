//! Stop of the server.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use rstest::rstest;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_reflection::pb::{v1 as reflection, v1alpha as reflection_alpha};

use crate::frames::PREFACE;
use crate::health::{comes, watch};
use crate::world::{Stuck, World, assert_refused};

/// The type of the frame that an HTTP/2 server begins with.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc9113#section-6.5>.
const SETTINGS: u8 = 4;

fn get_request() -> v1::GetRequest {
    v1::GetRequest { key: Some(Key::Username("account_1".to_owned())), owner: None }
}

#[rstest]
#[tokio::test]
async fn a_stop_turns_health_away_and_lets_calls_finish(
    #[values(false, true)] connection_runtimes: bool,
) {
    let stuck = Stuck::default();
    let world = World { accounts: Arc::new(stuck.clone()), connection_runtimes, ..World::new() };
    let server = world.serve().await;
    let mut statuses = watch(&server, "").await;
    assert!(comes(&mut statuses, ServingStatus::Serving).await);
    let mut client = server.client().await;
    let waiting = tokio::spawn(async move { client.get(get_request()).await });
    stuck.entered.notified().await;
    server.stop.cancel();
    assert!(comes(&mut statuses, ServingStatus::NotServing).await);
    assert!(statuses.message().await.unwrap().is_none(), "the watch ends");
    TcpStream::connect(server.address).await.unwrap_err();
    assert!(!server.task.is_finished());
    stuck.released.notify_one();
    let status = waiting.await.unwrap().unwrap_err();
    assert_refused(&status, Code::NotFound, "ACCOUNT_NOT_FOUND", &[]);
    server.task.await.unwrap().unwrap();
}

#[rstest]
#[tokio::test]
async fn a_connection_that_was_made_before_the_stop_is_served(
    #[values(false, true)] connection_runtimes: bool,
) {
    let server = World { connection_runtimes, ..World::new() }.serve().await;
    // Without a chance for the server to take it before it is told to stop.
    let mut made = std::net::TcpStream::connect(server.address).unwrap();
    made.write_all(PREFACE).unwrap();
    server.stop.cancel();
    made.set_nonblocking(true).unwrap();
    let mut made = TcpStream::from_std(made).unwrap();
    let mut frame = [0; 9];
    made.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], SETTINGS, "{frame:?}");
    drop(made);
    server.task.await.unwrap().unwrap();
}

#[rstest]
#[tokio::test]
async fn calls_that_outlast_the_limit_are_cut(#[values(false, true)] connection_runtimes: bool) {
    let stuck = Stuck::default();
    let world = World {
        accounts: Arc::new(stuck.clone()),
        drain_timeout: Duration::from_millis(50),
        connection_runtimes,
        ..World::new()
    };
    let server = world.serve().await;
    let mut client = server.client().await;
    let waiting = tokio::spawn(async move { client.get(get_request()).await });
    stuck.entered.notified().await;
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap_err();
}

#[rstest]
#[tokio::test]
async fn idle_and_silent_connections_do_not_hold_up_a_stop(
    #[values(false, true)] connection_runtimes: bool,
) {
    let server = World { connection_runtimes, ..World::new() }.serve().await;
    let mut client = server.client().await;
    client.list(v1::ListRequest::default()).await.unwrap();
    let _silent = TcpStream::connect(server.address).await.unwrap();
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}

#[rstest]
#[tokio::test]
async fn a_stop_ends_open_reflection_streams(#[values(false, true)] connection_runtimes: bool) {
    use reflection::server_reflection_client::ServerReflectionClient;
    use reflection_alpha::server_reflection_client::ServerReflectionClient as AlphaClient;
    let server = World { connection_runtimes, ..World::new() }.serve().await;
    let channel = server.channel().await;
    let mut client = ServerReflectionClient::new(channel.clone());
    let asked = reflection::ServerReflectionRequest {
        message_request: Some(reflection::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
        ..reflection::ServerReflectionRequest::default()
    };
    let asked = tokio_stream::once(asked).chain(tokio_stream::pending());
    let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    let mut alpha_answers = AlphaClient::new(channel)
        .server_reflection_info(tokio_stream::pending())
        .await
        .unwrap()
        .into_inner();
    server.stop.cancel();
    assert!(answers.message().await.unwrap().is_none(), "it ends");
    assert!(alpha_answers.message().await.unwrap().is_none(), "it ends");
    server.task.await.unwrap().unwrap();
}
