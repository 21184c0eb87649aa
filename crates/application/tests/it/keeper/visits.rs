//! Visits beside others: other keepers, callers, a store that fails, and a stop.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ig_application::StorePorts;
use ig_domain::ports::{
    AccountReader as _, AccountWriter as _, Cause, ClaimedAccount, Clock as _, CountedEvent,
    DueAccounts, RENEWAL_LEASE, RenewalLeases as _, StoreError, VisitOutcome, VisitResult,
};
use ig_domain::{AccountId, InstagramAccount, LeaseHolder, LongLivedToken};
use ig_test_support::MemoryStore;
use ig_test_support::builders::START;
use ig_test_support::keeper::{CallKind, DAY, HOUR, MINUTE, Scene, dead};
use time::OffsetDateTime;

use super::{IN_FLIGHT, scene, scene_over};
use crate::empty_store;

/// Something that happens once, beside the keeper.
type Meddling = Box<dyn FnOnce(&MemoryStore) + Send>;

/// The store in memory, whose writes of results take a moment, and beside which something happens.
struct Meddled {
    store: MemoryStore,
    finishes: AtomicUsize,
    finish_time: Duration,
    after_claim: Mutex<Option<Meddling>>,
    before_finish: Mutex<Option<Meddling>>,
    /// Whether claimed accounts cannot be read.
    unreadable: bool,
    /// Whether witnesses cannot be found.
    no_witnesses: bool,
    /// Number of accounts that are to be scheduled anew.
    missed: Arc<AtomicU64>,
}

impl Meddled {
    fn new(store: &MemoryStore) -> Self {
        Self {
            store: store.clone(),
            finishes: AtomicUsize::new(0),
            finish_time: Duration::from_millis(5),
            after_claim: Mutex::default(),
            before_finish: Mutex::default(),
            unreadable: false,
            no_witnesses: false,
            missed: Arc::default(),
        }
    }

    fn meddle(&self, meddling: &Mutex<Option<Meddling>>) {
        if let Some(meddling) = meddling.lock().unwrap().take() {
            meddling(&self.store);
        }
    }

    /// A scene over this store.
    fn scene(self) -> (Scene, Arc<Self>) {
        let store = StorePorts::of(Arc::new(self.store.clone()));
        let meddled = Arc::new(self);
        let store = StorePorts { due_accounts: meddled.clone(), ..store };
        (scene_over(store), meddled)
    }
}

#[async_trait]
impl DueAccounts for Meddled {
    async fn claim_due(
        &self,
        now: OffsetDateTime,
        holder: LeaseHolder,
        limit: u64,
    ) -> Result<Vec<ClaimedAccount>, StoreError> {
        let mut claimed = self.store.claim_due(now, holder, limit).await?;
        self.meddle(&self.after_claim);
        for claimed in claimed.iter_mut().filter(|_| self.unreadable) {
            claimed.found = Err(StoreError::Corrupt(Cause::new("on purpose")));
        }
        Ok(claimed)
    }

    async fn finish(
        &self,
        results: &[(LeaseHolder, VisitResult)],
    ) -> Result<Vec<AccountId>, StoreError> {
        self.finishes.fetch_add(1, Ordering::SeqCst);
        self.meddle(&self.before_finish);
        tokio::time::sleep(self.finish_time).await;
        self.store.finish(results).await
    }

    async fn put_off(
        &self,
        id: AccountId,
        holder: LeaseHolder,
        until: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.store.put_off(id, holder, until).await
    }

    async fn schedule_missed(&self, limit: u64) -> Result<u64, StoreError> {
        let left = |missed: u64| Some(missed.saturating_sub(limit));
        let missed = self.missed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).unwrap();
        Ok(missed.min(limit))
    }

    async fn witnesses(
        &self,
        except: AccountId,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<(InstagramAccount, LongLivedToken)>, StoreError> {
        if self.no_witnesses {
            return Err(StoreError::Internal(Cause::new("on purpose")));
        }
        self.store.witnesses(except, now, limit).await
    }
}

/// The value of a future of the store in memory, which never waits.
fn done<T>(future: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(future).unwrap()
}

fn due_for_renewal(account: &mut InstagramAccount) {
    account.token_issue_time = account.token_issue_time.map(|time| time - DAY * 36);
    account.token_expire_time = account.token_expire_time.map(|time| time - DAY * 36);
}

/// Number of renewals since calls were taken last.
fn renewals(scene: &Scene) -> usize {
    let calls = scene.instagram.take_calls();
    calls.iter().filter(|call| call.kind == CallKind::Renewal).count()
}

async fn link_all(scene: &Scene, accounts: u32) {
    for number in 1..=accounts {
        scene.link(number).await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_keepers_one_visits_each_account() {
    let scene = scene();
    link_all(&scene, 100).await;
    scene.clock.advance(DAY);
    let other = scene.another_keeper();
    let ((), visited) = tokio::join!(scene.look(), other.visit_due());
    visited.unwrap();
    let mut numbers: Vec<_> =
        scene.instagram.take_calls().into_iter().map(|call| call.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn results_that_wait_at_the_same_time_are_stored_in_one_transaction() {
    let (scene, store) = Meddled::new(&empty_store()).scene();
    link_all(&scene, 160).await;
    scene.clock.advance(DAY);
    scene.look().await;
    let finishes = store.finishes.load(Ordering::SeqCst);
    assert!(finishes <= 40, "{finishes} transactions for 160 visits");
    let done = |event: &CountedEvent| {
        matches!(event, CountedEvent::VisitEnded { outcome: VisitOutcome::Done, .. })
    };
    assert_eq!(scene.events(done), 160);
}

/// The first write of the result meets a newer reading of the profile.
#[tokio::test(start_paused = true)]
async fn a_renewed_token_is_stored_on_top_of_what_others_stored_meanwhile() {
    let (scene, store) = Meddled::new(&empty_store()).scene();
    scene.link_as(1, due_for_renewal).await;
    *store.before_finish.lock().unwrap() = Some(Box::new(|store| {
        let (account, _) = done(store.find_with_token(Scene::id(1))).unwrap().unwrap();
        let mut read = account.clone();
        read.username = "renamed".parse().unwrap();
        let read = read.succeeding(&account, account.update_time);
        done(store.update(&read, &account, None)).unwrap();
    }));
    scene.look().await;
    let account = scene.stored(1).await;
    assert_eq!(account.token_issue_time.unwrap(), scene.clock.now());
    assert_eq!(account.username.as_str(), "renamed");
    assert_eq!(renewals(&scene), 1);
    assert_eq!(scene.events(|event| *event == CountedEvent::TokenRenewed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_renewed_token_is_stored_though_the_store_is_away_for_a_while() {
    let (scene, store) = Meddled::new(&empty_store()).scene();
    scene.link_as(1, due_for_renewal).await;
    let away = store.store.clone();
    *store.before_finish.lock().unwrap() = Some(Box::new(|store| store.set_away(true)));
    // The next claim fails, and the visit goes on.
    scene.try_look().await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(4)).await;
    away.set_away(false);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(scene.stored(1).await.token_issue_time.unwrap(), scene.clock.now());
}

/// Two processes renew no token twice, however long the store takes.
#[tokio::test(start_paused = true)]
async fn a_visit_keeps_its_lease_while_its_result_waits_to_be_stored() {
    let finish_time = RENEWAL_LEASE * 3;
    let (scene, store) = Meddled { finish_time, ..Meddled::new(&empty_store()) }.scene();
    scene.link_as(1, due_for_renewal).await;
    let other = scene.another_keeper();
    let looks = async {
        for _ in 0..finish_time.as_secs() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            store.store.pass_lease_time(Duration::from_secs(1));
            other.visit_due().await.unwrap();
        }
    };
    tokio::join!(scene.look(), looks);
    assert_eq!(renewals(&scene), 1);
    assert_eq!(scene.stored(1).await.token_issue_time.unwrap(), scene.clock.now());
}

/// A sweep after an upgrade touches all accounts: due ones do not wait for its end.
#[tokio::test(start_paused = true)]
async fn due_accounts_are_claimed_between_the_rounds_of_a_sweep() {
    let (missed, left) = (Arc::new(AtomicU64::new(5_000)), Arc::new(AtomicU64::new(0)));
    let meddled = Meddled { missed: missed.clone(), ..Meddled::new(&empty_store()) };
    let (scene, store) = meddled.scene();
    scene.link(1).await;
    scene.clock.advance(DAY);
    *store.after_claim.lock().unwrap() = Some(Box::new({
        let (missed, left) = (missed.clone(), left.clone());
        move |store| {
            assert!(store.is_renewal_leased(Scene::id(1)));
            left.store(missed.load(Ordering::SeqCst), Ordering::SeqCst);
        }
    }));
    scene.look().await;
    assert_ne!(left.load(Ordering::SeqCst), 0, "the sweep had not ended at the first claim");
    assert_eq!(missed.load(Ordering::SeqCst), 0, "it ends all the same");
    assert_eq!(scene.stored(1).await.profile_time, scene.clock.now());
}

/// Somebody else took the lease over, and released it: what the visit heard is not believed.
#[tokio::test(start_paused = true)]
async fn a_visit_whose_lease_another_took_over_overwrites_nothing() {
    let (scene, store) = Meddled::new(&empty_store()).scene();
    scene.link(1).await;
    scene.clock.advance(DAY);
    *store.before_finish.lock().unwrap() = Some(Box::new(|store| {
        store.pass_lease_time(HOUR);
        let successor = LeaseHolder::from_uuid(*Scene::id(1).as_uuid());
        assert!(done(store.claim(Scene::id(1), successor)).unwrap());
    }));
    scene.look().await;
    assert_ne!(scene.stored(1).await.profile_time, scene.clock.now());
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_back_what_has_not_begun() {
    let (scene, store) = Meddled::new(&empty_store()).scene();
    link_all(&scene, 8).await;
    scene.clock.advance(DAY);
    let stop = scene.stop.clone();
    *store.after_claim.lock().unwrap() = Some(Box::new(move |_| stop.cancel()));
    scene.look().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.instagram.take_calls().len(), 0);
    let holder = scene.ports.ids.lease_holder();
    assert_eq!(store.claim_due(scene.clock.now(), holder, 10).await.unwrap().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_during_a_visit_waits_for_it_and_renews_no_second_time() {
    let scene = scene();
    scene.link_as(1, due_for_renewal).await;
    let refresh = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        scene.refresh(1).await
    };
    let ((), refreshed) = tokio::join!(scene.look(), refresh);
    assert_eq!(refreshed.unwrap().view.account.token_issue_time.unwrap(), scene.clock.now());
    assert_eq!(renewals(&scene), 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_read_is_put_off_by_a_quarter_of_an_hour() {
    let meddled = Meddled { unreadable: true, ..Meddled::new(&empty_store()) };
    let (scene, _) = meddled.scene();
    scene.link(1).await;
    scene.pass(DAY, DAY).await;
    let unreadable = |event: &CountedEvent| {
        matches!(event, CountedEvent::VisitEnded { outcome: VisitOutcome::Unreadable, .. })
    };
    assert_eq!(scene.events(unreadable), 1);
    scene.pass(MINUTE * 14, MINUTE).await;
    assert_eq!(scene.events(unreadable), 0);
    scene.pass(MINUTE, MINUTE).await;
    assert_eq!(scene.events(unreadable), 1);
    assert_eq!(scene.instagram.take_calls().len(), 0);
}

/// Its lease keeps it back for a while: Instagram is not asked again and again.
#[tokio::test(start_paused = true)]
async fn a_visit_that_the_store_cuts_short_is_not_repeated_at_once() {
    let meddled = Meddled { no_witnesses: true, ..Meddled::new(&empty_store()) };
    let (scene, _) = meddled.scene();
    link_all(&scene, 2).await;
    scene.instagram.refuse(1, Some(dead(None)));
    scene.pass(DAY, DAY).await;
    let calls = scene.instagram.take_calls();
    assert_eq!(calls.iter().filter(|call| call.number == 1).count(), 2);
    scene.assert_active([1, 2]).await;
}

/// Time in which ten times as many accounts are visited as at once.
async fn visiting_time(scene: &Scene) -> Duration {
    link_all(scene, 160).await;
    scene.clock.advance(DAY);
    let begin = tokio::time::Instant::now();
    scene.look().await;
    begin.elapsed()
}

/// It takes as long as Instagram takes for one visit, not for all of them.
#[tokio::test(start_paused = true)]
async fn visits_run_at_the_same_time() {
    let scene = scene();
    let elapsed = visiting_time(&scene).await;
    // Ten visits one after the other in each of sixteen places, at 50 ms.
    assert!(elapsed < Duration::from_millis(500 * 10 / 8), "{elapsed:?}");
}

/// A store that takes half as long as Instagram does not slow the visits down by as much.
#[tokio::test(start_paused = true)]
async fn results_are_stored_while_other_visits_make_their_calls() {
    let finish_time = Duration::from_millis(25);
    let (scene, _) = Meddled { finish_time, ..Meddled::new(&empty_store()) }.scene();
    let elapsed = visiting_time(&scene).await;
    // Ten visits one after the other in each of sixteen places, at 50 ms, and twice 25 ms for the last results.
    assert!(elapsed < Duration::from_millis(550 * 10 / 8), "{elapsed:?}");
}

/// A store that is slower than Instagram holds the calls up: their answers do not pile up.
#[tokio::test(start_paused = true)]
async fn no_more_results_wait_than_calls_are_allowed() {
    let finish_time = Duration::from_secs(1);
    let (scene, _) = Meddled { finish_time, ..Meddled::new(&empty_store()) }.scene();
    link_all(&scene, 160).await;
    scene.clock.advance(DAY);
    let instagram = scene.instagram.clone();
    let asked_in_time = async {
        tokio::time::sleep(Duration::from_millis(900)).await;
        instagram.take_calls().len()
    };
    let ((), asked) = tokio::join!(scene.look(), asked_in_time);
    assert_eq!(asked, 2 * IN_FLIGHT);
    assert_eq!(scene.instagram.take_calls().len(), 160 - asked);
}

#[tokio::test(start_paused = true)]
async fn a_keeper_that_runs_by_itself_finds_what_becomes_due() {
    let scene = scene();
    scene.link(1).await;
    let keeper = scene.another_keeper();
    let running = tokio::spawn(async move { keeper.run().await });
    scene.clock.advance(DAY);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(scene.stored(1).await.profile_time, START + DAY);
    scene.stop.cancel();
    running.await.unwrap();
}
