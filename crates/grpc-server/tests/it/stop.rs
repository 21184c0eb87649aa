//! How the server ends.

use std::sync::Arc;
use std::time::Duration;

use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::health::{comes, watch};
use crate::world::{Stuck, World, assert_refused};

fn get_request() -> v1::GetRequest {
    v1::GetRequest { key: Some(Key::Username("account_1".to_owned())), owner: None }
}

#[tokio::test]
async fn a_stop_turns_health_away_and_lets_calls_finish() {
    let stuck = Stuck::default();
    let world = World { accounts: Arc::new(stuck.clone()), ..World::new() };
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

#[tokio::test]
async fn calls_that_outlast_the_limit_are_cut() {
    let stuck = Stuck::default();
    let world = World {
        accounts: Arc::new(stuck.clone()),
        shutdown_timeout: Duration::from_millis(50),
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

#[tokio::test]
async fn idle_and_silent_connections_do_not_hold_up_a_stop() {
    let server = World::new().serve().await;
    let mut client = server.client().await;
    client.list(v1::ListRequest::default()).await.unwrap();
    let _silent = TcpStream::connect(server.address).await.unwrap();
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}
