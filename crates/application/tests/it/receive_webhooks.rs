//! Updates that come by webhook at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::join_all;
use ig_application::{ReceiveWebhooks, ReceiveWebhooksError};
use ig_domain::ports::{CountedEvent, StoreError, StoredUpdates, Webhooks};
use ig_domain::{InstagramAccount, ReceivedUpdate, WebhookPayload};
use ig_test_support::builders::{START, account, received};
use ig_test_support::{MemoryStore, RecordedMetrics};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{empty_store, keep};

const KIB: usize = 1024;

/// A store whose writes take a permit each, and whose groups are noted as numbers of updates.
struct Gated {
    store: MemoryStore,
    permits: Semaphore,
    groups: Mutex<Vec<usize>>,
}

#[async_trait]
impl Webhooks for Gated {
    async fn store(&self, updates: &[ReceivedUpdate]) -> Result<StoredUpdates, StoreError> {
        self.permits.acquire().await.unwrap().forget();
        self.groups.lock().unwrap().push(updates.len());
        self.store.store(updates).await
    }

    async fn payloads(
        &self,
        numbers: &[i64],
    ) -> Result<HashMap<i64, Option<WebhookPayload>>, StoreError> {
        self.store.payloads(numbers).await
    }
}

struct Scene {
    account: InstagramAccount,
    gated: Arc<Gated>,
    metrics: RecordedMetrics,
    receive: ReceiveWebhooks,
    tracker: TaskTracker,
}

impl Scene {
    async fn new() -> Self {
        let (store, account) = (empty_store(), account(1, "", START));
        keep(&store, &account).await;
        let (permits, groups) = (Semaphore::new(0), Mutex::default());
        let gated = Arc::new(Gated { store, permits, groups });
        let (metrics, tracker) = (RecordedMetrics::default(), TaskTracker::new());
        let receive =
            ReceiveWebhooks::new(gated.clone(), Arc::new(metrics.clone()), tracker.clone());
        Self { account, gated, metrics, receive, tracker }
    }

    /// Receives so many updates of this size, the first of which has this number.
    fn begin(
        &self,
        first: u32,
        number: u32,
        size: usize,
    ) -> tokio::task::JoinHandle<Result<(), ReceiveWebhooksError>> {
        let updates = (first..first + number).map(|one| received(&self.account, one, size));
        let (updates, receive) = (updates.collect(), self.receive.clone());
        tokio::spawn(async move { receive.execute(updates, 0).await })
    }

    fn groups(&self) -> Vec<usize> {
        self.gated.groups.lock().unwrap().clone()
    }

    fn stored(&self) -> usize {
        self.gated.store.events().len() - 1
    }
}

/// Lets all that can go on do so.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_waits_while_one_is_stored_is_stored_together() {
    let scene = Scene::new().await;
    let mut begun = vec![scene.begin(1000, 1, 10)];
    settle().await;
    begun.extend((1..=64).map(|number| scene.begin(number, 1, 10)));
    settle().await;
    scene.gated.permits.add_permits(2);
    for one in join_all(begun).await {
        one.unwrap().unwrap();
    }
    assert_eq!((scene.groups(), scene.stored()), (vec![1, 64], 65));
    let counts: Vec<_> = scene.metrics.take();
    let stored = |stored| {
        CountedEvent::UpdatesReceived(StoredUpdates { stored, ..StoredUpdates::default() })
    };
    assert!(counts.contains(&stored(1)) && counts.contains(&stored(64)), "{counts:?}");
}

/// By their number, and by their size.
#[tokio::test]
async fn a_transaction_is_no_larger_than_a_batch_of_instagrams() {
    let scene = Scene::new().await;
    let mut begun = vec![scene.begin(0, 1, 10)];
    settle().await;
    begun.extend([scene.begin(10_000, 600, 10), scene.begin(20_000, 600, 10)]);
    begun.extend([scene.begin(30_000, 30, 128 * KIB), scene.begin(40_000, 30, 128 * KIB)]);
    settle().await;
    scene.gated.permits.add_permits(100);
    for one in join_all(begun).await {
        one.unwrap().unwrap();
    }
    assert_eq!(scene.groups(), [1, 600, 600, 30, 30]);
    scene.begin(50_000, 2500, 10).await.unwrap().unwrap();
    assert_eq!(scene.groups()[5..], [1000, 1000, 500], "of one body");
}

#[tokio::test]
async fn a_failure_is_that_of_all_who_wait_for_it_and_of_nobody_else() {
    let scene = Scene::new().await;
    let mut begun = vec![scene.begin(0, 1, 10)];
    settle().await;
    begun.extend([scene.begin(1, 1, 10), scene.begin(2, 1, 10)]);
    settle().await;
    scene.gated.permits.add_permits(1);
    settle().await;
    scene.gated.store.set_away(true);
    scene.gated.permits.add_permits(1);
    settle().await;
    scene.gated.store.set_away(false);
    let results: Vec<_> = join_all(begun).await.into_iter().map(|one| one.unwrap()).collect();
    assert!(results[0].is_ok());
    for failed in &results[1..] {
        let Err(ReceiveWebhooksError::Store(error)) = failed else { panic!("{failed:?}") };
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    scene.gated.permits.add_permits(1);
    scene.begin(1, 1, 10).await.unwrap().unwrap();
    assert_eq!(scene.stored(), 2);
}

/// A client that goes away takes nobody's updates along, and a stop waits for what is under way.
#[tokio::test]
async fn one_whose_caller_goes_stores_all_the_same() {
    let scene = Scene::new().await;
    let gone = scene.begin(1, 1, 10);
    settle().await;
    let other = scene.begin(2, 1, 10);
    settle().await;
    gone.abort();
    scene.tracker.close();
    scene.gated.permits.add_permits(2);
    other.await.unwrap().unwrap();
    scene.tracker.wait().await;
    assert_eq!(scene.stored(), 2);
}

#[tokio::test]
async fn updates_beyond_what_may_wait_are_refused() {
    let scene = Scene::new().await;
    let waiting: Vec<_> = (0..4).map(|one| scene.begin(one * 1000, 127, 128 * KIB)).collect();
    settle().await;
    let refused = scene.begin(9000, 127, 128 * KIB).await.unwrap();
    assert!(matches!(refused, Err(ReceiveWebhooksError::TooMany)), "{refused:?}");
    scene.gated.permits.add_permits(100);
    for one in join_all(waiting).await {
        one.unwrap().unwrap();
    }
    scene.begin(9000, 127, 128 * KIB).await.unwrap().unwrap();
}

#[tokio::test]
async fn nothing_to_store_is_done_at_once_and_what_was_unreadable_is_counted() {
    let scene = Scene::new().await;
    scene.receive.execute(Vec::new(), 3).await.unwrap();
    assert_eq!(scene.metrics.take(), [CountedEvent::UpdatesUnreadable(3)]);
    assert!(scene.groups().is_empty());
}
