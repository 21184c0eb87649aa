//! A store that can only be read.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ig_application::{OpenWatch, WatchFrom};
use ig_domain::ports::{Cause, EventLog, LogState, StoreError};
use ig_domain::{EventPosition, LoggedEvent};
use ig_test_support::MemoryStore;
use time::OffsetDateTime;

use super::{Scene, message, told};

/// A log that gives no numbers.
struct ReadOnly(MemoryStore);

#[async_trait]
impl EventLog for ReadOnly {
    async fn look(&self, at: Option<&EventPosition>) -> Result<LogState, StoreError> {
        self.0.look(at).await
    }

    async fn number_waiting(&self) -> Result<u64, StoreError> {
        Err(StoreError::Unavailable(Cause::new("read-only")))
    }

    async fn page(&self, after: i64, limit: u64) -> Result<Vec<LoggedEvent>, StoreError> {
        self.0.page(after, limit).await
    }

    async fn since(
        &self,
        time: OffsetDateTime,
        window: Duration,
    ) -> Result<Option<EventPosition>, StoreError> {
        self.0.since(time, window).await
    }

    async fn written(&self) {
        self.0.written().await;
    }

    async fn purge(&self, window: Duration, limit: u64) -> Result<u64, StoreError> {
        self.0.purge(window, limit).await
    }
}

/// Its cursor is older than the newest event, and nothing that comes is before it.
#[tokio::test]
async fn a_listing_has_its_cursor_where_events_get_no_number() {
    let scene = Scene::new();
    scene.poll().await;
    let mut account = scene.link(1, "").await;
    let mut watch = scene.watch.clone();
    watch.ports.log = Arc::new(ReadOnly(scene.store.clone()));
    let position = OpenWatch { watch }.position_before_now().await.unwrap();
    scene.rename(&mut account, 1).await;
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::After(position)).await;
    assert_eq!(told(&message(&mut stream)), [(account.id, 1), (account.id, 2)]);
}
