//! Health tells the truth about the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use ig_domain::ports::{StoreError, StoreProbe};
use rstest::rstest;
use tokio::time::Instant;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::world::{Server, World};

/// A store that answers until it is told to hang.
#[derive(Default)]
struct Hanging(AtomicBool);

#[async_trait]
impl StoreProbe for Hanging {
    async fn check(&self) -> Result<(), StoreError> {
        if self.0.load(Ordering::Relaxed) { std::future::pending().await } else { Ok(()) }
    }
}

pub(crate) async fn watch(server: &Server, service: &str) -> Streaming<HealthCheckResponse> {
    let mut client = HealthClient::new(server.channel().await);
    let request = HealthCheckRequest { service: service.to_owned() };
    client.watch(request).await.unwrap().into_inner()
}

/// Reads until this status comes, or the stream ends.
pub(crate) async fn comes(
    statuses: &mut Streaming<HealthCheckResponse>,
    expected: ServingStatus,
) -> bool {
    while let Some(next) = statuses.message().await.unwrap() {
        if next.status() == expected {
            return true;
        }
    }
    false
}

#[rstest]
#[case::overall("")]
#[case::the_service("instagram.accounts.v1.InstagramAccountService")]
#[tokio::test(start_paused = true)]
async fn watchers_see_the_store_go_and_come_back(#[case] service: &str) {
    let world = World::new();
    assert!(!world.readiness.is_ready(), "nobody has looked yet");
    let server = world.serve().await;
    let mut statuses = watch(&server, service).await;
    assert!(comes(&mut statuses, ServingStatus::Serving).await);
    assert!(world.readiness.is_ready());
    world.store.set_away(true);
    let lost = Instant::now();
    assert!(comes(&mut statuses, ServingStatus::NotServing).await);
    assert!(!world.readiness.is_ready());
    assert!(lost.elapsed() < Duration::from_secs(10));
    world.store.set_away(false);
    assert!(comes(&mut statuses, ServingStatus::Serving).await);
    assert!(world.readiness.is_ready());
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
    assert!(!world.readiness.is_ready(), "a stop ends it");
}

#[tokio::test(start_paused = true)]
async fn a_watch_outlives_the_deadline_of_calls() {
    let world = World::new();
    let server = world.serve().await;
    let mut statuses = watch(&server, "").await;
    assert!(comes(&mut statuses, ServingStatus::Serving).await);
    let start = Instant::now();
    tokio::time::sleep(Duration::from_mins(2)).await;
    world.store.set_away(true);
    assert!(comes(&mut statuses, ServingStatus::NotServing).await);
    assert!(start.elapsed() >= Duration::from_mins(2));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_begins_to_hang_counts_as_away_within_ten_seconds() {
    let store = Arc::new(Hanging::default());
    let world = World { probe: store.clone(), ..World::new() };
    let server = world.serve().await;
    let mut statuses = watch(&server, "").await;
    assert!(comes(&mut statuses, ServingStatus::Serving).await);
    store.0.store(true, Ordering::Relaxed);
    let hung = Instant::now();
    assert!(comes(&mut statuses, ServingStatus::NotServing).await);
    assert!(hung.elapsed() < Duration::from_secs(10), "{:?}", hung.elapsed());
    let mut client = HealthClient::new(server.channel().await);
    let checked = client.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(checked.status(), ServingStatus::NotServing);
}

#[tokio::test]
async fn an_unknown_service_is_not_found() {
    let server = World::new().serve().await;
    let mut client = HealthClient::new(server.channel().await);
    let request = HealthCheckRequest { service: "nothing".to_owned() };
    assert_eq!(client.check(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_watch_of_an_unknown_service_says_so_and_stays_open_until_the_stop() {
    let server = World::new().serve().await;
    let mut statuses = watch(&server, "nothing").await;
    let first = statuses.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    assert!(statuses.message().now_or_never().is_none(), "it ended");
    server.stop.cancel();
    assert!(statuses.message().await.unwrap().is_none());
    server.task.await.unwrap().unwrap();
}
