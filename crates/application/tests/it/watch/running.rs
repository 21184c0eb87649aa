//! Poller and holds as they run.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ig_application::{EventPoller, WatchFrom, WatchMessage, WatchStream};
use ig_domain::ports::{Consumers as _, EventLog, LogState, StoreError, Timer as _};
use ig_domain::{EventPosition, LoggedEvent};
use ig_test_support::{ManualTimer, MemoryStore};
use time::OffsetDateTime;

use super::{Scene, cursor, message, told};

/// The next message, and the time until it came.
async fn timed(scene: &Scene, stream: &mut WatchStream) -> (WatchMessage, Duration) {
    let begin = scene.timer.now();
    let passing = async {
        loop {
            tokio::task::yield_now().await;
            scene.timer.advance(Duration::from_millis(1));
        }
    };
    tokio::select! {
        sent = stream.next() => (WatchMessage::clone(&sent.ok().unwrap()), scene.timer.now() - begin),
        _ = passing => unreachable!(),
    }
}

#[tokio::test]
async fn the_poller_looks_at_once_after_a_write_of_its_process() {
    let scene = Scene::new();
    let poller = EventPoller::new(&scene.watch, None);
    let polling = tokio::spawn(async move { poller.run().await });
    let mut account = scene.link(1, "").await;
    for _ in 0..500 {
        tokio::task::yield_now().await;
        scene.timer.advance(Duration::from_millis(1));
    }
    // Without a stream the last look is older than one that a stream goes by; the first stream brings one at once.
    let mut stream = scene.open(WatchFrom::Now).await;
    assert!(!message(&mut stream).caught_up);
    let (sent, span) = timed(&scene, &mut stream).await;
    assert!(sent.caught_up && span <= Duration::from_millis(20), "{span:?}");
    for _ in 0..3 {
        scene.rename(&mut account, 1).await;
        let (sent, span) = timed(&scene, &mut stream).await;
        assert_eq!(told(&sent), [(account.id, account.revision)]);
        assert!(span <= Duration::from_millis(20), "{span:?}");
    }
    scene.watch.stop.cancel();
    polling.await.unwrap();
}

/// A log of which each look takes 120 ms, and that says nothing of its process's writes.
struct SlowLog {
    store: MemoryStore,
    timer: ManualTimer,
    looks: Arc<Mutex<Vec<Instant>>>,
}

#[async_trait]
impl EventLog for SlowLog {
    async fn look(&self, at: Option<&EventPosition>) -> Result<LogState, StoreError> {
        self.looks.lock().unwrap().push(self.timer.now());
        self.timer.advance(Duration::from_millis(120));
        self.store.look(at).await
    }

    async fn number_waiting(&self) -> Result<u64, StoreError> {
        self.store.number_waiting().await
    }

    async fn page(&self, after: i64, limit: u64) -> Result<Vec<LoggedEvent>, StoreError> {
        self.store.page(after, limit).await
    }

    async fn since(
        &self,
        time: OffsetDateTime,
        window: Duration,
    ) -> Result<Option<EventPosition>, StoreError> {
        self.store.since(time, window).await
    }

    async fn written(&self) {
        std::future::pending::<()>().await;
    }

    async fn purge(&self, window: Duration, limit: u64) -> Result<u64, StoreError> {
        self.store.purge(window, limit).await
    }
}

/// So that a busy store does not add its time to that of the interval.
#[tokio::test]
async fn looks_that_take_long_begin_as_often_as_others() {
    let scene = Scene::new();
    let (looks, mut watch) = (Arc::new(Mutex::new(Vec::new())), scene.watch.clone());
    let log = SlowLog {
        store: scene.store.clone(),
        timer: scene.timer.clone(),
        looks: Arc::clone(&looks),
    };
    watch.ports.log = Arc::new(log);
    let poller = EventPoller::new(&watch, None);
    let polling = tokio::spawn(async move { poller.run().await });
    let _stream = scene.open(WatchFrom::Now).await;
    while looks.lock().unwrap().len() < 6 {
        tokio::task::yield_now().await;
        scene.timer.advance(Duration::from_millis(1));
    }
    let looks = looks.lock().unwrap().clone();
    // The first look finds the beginning of the log only.
    for pair in looks[1..].windows(2) {
        let span = pair[1] - pair[0];
        assert!(span.abs_diff(Duration::from_millis(200)) <= Duration::from_millis(10), "{span:?}");
    }
    watch.stop.cancel();
    polling.await.unwrap();
}

/// A process that stops gives its consumers back when their streams have ended, and not before.
#[tokio::test]
async fn holds_are_kept_while_streams_live_and_given_back_then() {
    let scene = Scene::new();
    scene.poll().await;
    let (holds, stop) = (Arc::clone(&scene.watch.holds), scene.watch.stop.clone());
    let keeping = tokio::spawn(async move { holds.run(&stop).await });
    let stream = scene.open_consumer("feed", WatchFrom::Now).await.unwrap();
    let is_held = async || scene.store.list(super::WINDOW).await.unwrap()[0].is_held;
    for _ in 0..12 {
        scene.pass_unseen(Duration::from_secs(1));
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        assert!(is_held().await);
    }
    scene.watch.stop.cancel();
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
    assert!(!keeping.is_finished());
    drop(stream);
    keeping.await.unwrap();
    assert!(!is_held().await);
    let committed = scene.committed().await;
    let mut next = scene.other_process().open_consumer("feed", None).await.unwrap();
    assert_eq!(committed, next.next().await.ok().map(|first| cursor(&first)));
}
