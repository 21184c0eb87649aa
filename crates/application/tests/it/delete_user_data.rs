//! Tests of deletions of persons' data.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use ig_application::DeleteUserData;
use ig_domain::ports::{Ids as _, StoreError, UserDeletions};
use ig_domain::{ConfirmationCode, Deletion, RemovalOutcome, SignedRequest};
use ig_test_support::builders::{START, parsed};
use ig_test_support::{FakeClock, MemoryStore, SequentialIds};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::empty_store;

/// A store whose deletions wait.
struct Slow {
    store: MemoryStore,
    go_on: Arc<Notify>,
}

#[async_trait]
impl UserDeletions for Slow {
    async fn delete(
        &self,
        request: &SignedRequest,
        code: &ConfirmationCode,
        now: OffsetDateTime,
    ) -> Result<(ConfirmationCode, RemovalOutcome), StoreError> {
        self.go_on.notified().await;
        self.store.delete(request, code, now).await
    }

    async fn find(&self, code: &ConfirmationCode) -> Result<Option<Deletion>, StoreError> {
        self.store.find(code).await
    }

    async fn erase(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.store.erase(now, limit).await
    }
}

/// The log's line of it says after a restore what is to be deleted again.
#[tokio::test]
async fn a_deletion_goes_on_when_its_caller_has_left() {
    let (store, go_on, tracker) = (empty_store(), Arc::new(Notify::new()), TaskTracker::new());
    let slow = Slow { store: store.clone(), go_on: Arc::clone(&go_on) };
    let use_case = DeleteUserData {
        deletions: Arc::new(slow),
        clock: Arc::new(FakeClock::at(START)),
        ids: Arc::new(SequentialIds::default()),
        tracker: tracker.clone(),
    };
    let request = SignedRequest { user: parsed("7"), issue_time: START - Duration::from_secs(1) };
    assert!(use_case.execute(&request).now_or_never().is_none());
    go_on.notify_one();
    tracker.close();
    tracker.wait().await;
    let code = SequentialIds::default().confirmation_code();
    assert!(store.find(&code).await.unwrap().is_some());
}
