//! The poller's looks: by them it is told for how long accounts are answered from memory.

use ig_domain::ports::{EventLog, LogState, Restoration as _, Timer as _};
use ig_domain::{EventPosition, LoggedEvent};
use ig_test_support::builders::long_lived;
use time::OffsetDateTime;

use super::*;

/// The last moment within the bound.
const JUST_WITHIN: Duration = Duration::from_millis(999);

#[tokio::test]
async fn nothing_comes_from_memory_before_the_first_complete_look() {
    let scene = Scene::before_its_first_look();
    keep(&scene.store, &account(1, "shop/7", START)).await;
    scene.store.number_waiting().await.unwrap();
    for read in 0..2 {
        assert_eq!(scene.read(&id(1)).await.1, 1, "read {read}");
    }
    // It finds the beginning of the log only.
    assert!(!scene.poller.poll().await.unwrap());
    for read in 0..2 {
        assert_eq!(scene.read(&id(1)).await.1, 1, "read {read}");
    }
    scene.look().await;
    assert_eq!(scene.read(&id(1)).await.1, 0, "it was read since the first look");
}

/// Whether the poller is stopped, or the store does not answer it.
#[tokio::test]
async fn nothing_comes_from_memory_once_the_last_look_is_too_old() {
    let scene = Scene::new().await;
    scene.get(&id(1)).await;
    scene.timer.advance(JUST_WITHIN);
    assert!(scene.is_remembered(&id(1)).await);
    let changed = scene.rename(1).await;
    scene.store.set_away(true);
    scene.poller.poll().await.unwrap_err();
    assert!(scene.is_remembered(&id(1)).await, "the bound is not over");
    scene.timer.advance(MOMENT);
    scene.accounts().find(&id(1)).await.unwrap_err();
    scene.store.set_away(false);
    for _ in 0..2 {
        assert_eq!(scene.read(&id(1)).await, (Some(changed.clone()), 1));
    }
    scene.look().await;
    scene.get(&id(1)).await;
    assert!(scene.is_remembered(&id(1)).await);
}

/// A log of which each look takes a while, at whose beginning the log is as it is told, and whose events may be damaged.
struct SlowLog {
    store: MemoryStore,
    timer: ManualTimer,
    span: Duration,
    looks: AtomicUsize,
    is_damaged: AtomicBool,
}

#[async_trait]
impl EventLog for SlowLog {
    async fn look(&self, at: Option<&EventPosition>) -> Result<LogState, StoreError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let state = self.store.look(at).await;
        self.timer.advance(self.span);
        state
    }

    async fn number_waiting(&self) -> Result<u64, StoreError> {
        self.store.number_waiting().await
    }

    async fn page(&self, after: i64, limit: u64) -> Result<Vec<LoggedEvent>, StoreError> {
        let mut page = self.store.page(after, limit).await?;
        if self.is_damaged.load(Ordering::Relaxed) {
            for logged in &mut page {
                logged.event = None;
            }
        }
        Ok(page)
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

impl Scene {
    /// A log whose looks take so long, and a poller that goes by it.
    fn slow(&self, span: Duration) -> (Arc<SlowLog>, EventPoller) {
        let (store, timer) = (self.store.clone(), self.timer.clone());
        let (looks, is_damaged) = (AtomicUsize::new(0), AtomicBool::new(false));
        let log = Arc::new(SlowLog { store, timer, span, looks, is_damaged });
        let mut watch = self.watch.clone();
        watch.ports.log = log.clone();
        (log, EventPoller::new(&watch, Some(Arc::clone(&self.cache))))
    }
}

/// What happens during a look is not in it.
#[tokio::test]
async fn the_age_of_a_look_counts_from_its_beginning() {
    let scene = Scene::new().await;
    let (_, poller) = scene.slow(JUST_WITHIN);
    scene.timer.advance(BOUND);
    scene.get(&id(1)).await;
    assert!(poller.poll().await.unwrap());
    assert!(scene.is_remembered(&id(1)).await);
    scene.timer.advance(MOMENT);
    assert!(!scene.is_remembered(&id(1)).await);
}

#[tokio::test]
async fn a_look_that_leaves_events_behind_makes_nothing_younger() {
    let scene = Scene::new().await;
    scene.get(&id(2)).await;
    scene.timer.advance(JUST_WITHIN);
    for _ in 0..1000 {
        scene.rename(1).await;
    }
    let changed = scene.rename(2).await;
    assert!(!scene.poller.poll().await.unwrap(), "a look brings a thousand events");
    scene.timer.advance(MOMENT);
    assert_eq!(scene.get(&id(2)).await, Some(changed));
}

/// Whose change it tells of is not known.
#[tokio::test]
async fn an_event_that_cannot_be_read_makes_all_forgotten() {
    let scene = Scene::new().await;
    scene.get(&id(1)).await;
    let changed = scene.rename(1).await;
    let (log, poller) = scene.slow(Duration::ZERO);
    log.is_damaged.store(true, Ordering::Relaxed);
    assert!(poller.poll().await.unwrap());
    assert_eq!(scene.get(&id(1)).await, Some(changed));
}

/// Its events tell nothing of what is in memory.
#[tokio::test]
async fn another_log_makes_all_forgotten() {
    let scene = Scene::new().await;
    let former = scene.get(&id(1)).await.unwrap();
    scene.store.put_account(renamed(&former), long_lived("IGAA-first"));
    scene.store.begin_new_log().await.unwrap();
    assert!(!scene.poller.poll().await.unwrap());
    assert_eq!(scene.get(&id(1)).await, Some(renamed(&former)));
}

/// The events of what changed may be gone.
#[tokio::test]
async fn a_gap_in_the_log_makes_all_forgotten() {
    let scene = Scene::new().await;
    scene.get(&id(1)).await;
    let changed = scene.rename(1).await;
    scene.store.number_waiting().await.unwrap();
    scene.store.pass_lease_time(Duration::from_hours(49));
    while scene.store.purge(Duration::from_hours(48), 100).await.unwrap() > 0 {}
    assert!(!scene.poller.poll().await.unwrap());
    assert_eq!(scene.get(&id(1)).await, Some(changed));
}

/// Runs the poller for so long, while `read` tells whether an account is read every 50 ms. Returns the looks, and the
/// reads of the store.
async fn run_for(scene: &Scene, span: Duration, read: bool) -> (usize, usize) {
    let (log, poller) = scene.slow(Duration::ZERO);
    let polling = tokio::spawn(async move { poller.run().await });
    let before = scene.reads.number.load(Ordering::Relaxed);
    let (begin, mut passed) = (scene.timer.now(), 0);
    while scene.timer.now() - begin < span {
        if read && passed % 50 == 0 {
            scene.get(&id(1)).await;
        }
        passed += 1;
        scene.timer.advance(MOMENT);
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }
    polling.abort();
    let reads = scene.reads.number.load(Ordering::Relaxed) - before;
    (log.looks.load(Ordering::Relaxed), reads)
}

#[tokio::test]
async fn the_poller_looks_often_while_accounts_are_read_and_seldom_else() {
    let scene = Scene::new().await;
    let span = Duration::from_secs(10);
    let (looks, reads) = run_for(&scene, span, true).await;
    assert!((40..=55).contains(&looks), "{looks}");
    assert_eq!(reads, 1);
    let (looks, _) = run_for(&scene, span, false).await;
    assert!((9..=13).contains(&looks), "{looks}");
}

/// Whoever reads first need not wait for the next look of a process in which nobody read.
#[tokio::test]
async fn the_first_read_brings_a_look() {
    let scene = Scene::new().await;
    let (log, poller) = scene.slow(Duration::ZERO);
    let polling = tokio::spawn(async move { poller.run().await });
    for _ in 0..500 {
        scene.timer.advance(MOMENT);
        tokio::task::yield_now().await;
    }
    let looks = log.looks.load(Ordering::Relaxed);
    scene.get(&id(1)).await;
    for _ in 0..20 {
        scene.timer.advance(MOMENT);
        tokio::task::yield_now().await;
    }
    assert_eq!(log.looks.load(Ordering::Relaxed), looks + 1);
    polling.abort();
}
