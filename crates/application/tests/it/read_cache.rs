//! Accounts in memory: never older than they may be, whoever changes them, and however a write or a look ends.

mod changes;
mod looks;
mod readings;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ig_application::{
    CachedAccounts, EventPoller, GetAccount, GetAccountError, GetAccounts, ReadCache, StorePorts,
    Watch, WatchPorts,
};
use ig_domain::ports::{
    AccountKey, AccountPage, AccountReader, AccountWriter as _, BatchKey, CountedEvent, ReadSource,
    StoreError, UserDeletions, UserRemovals,
};
use ig_domain::{
    AccountId, AccountStatus, InstagramAccount, InstagramId, LongLivedToken, OwnerScope,
};
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::{FakeClock, ManualTimer, MemoryStore, RecordedMetrics, SequentialIds};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{empty_store, keep};

/// More than all accounts of a test.
const CAPACITY: u64 = 1 << 20;

/// Time in which accounts are answered from memory after a look began.
const BOUND: Duration = Duration::from_secs(1);

const MOMENT: Duration = Duration::from_millis(1);

/// The store as its cache reads it: each read is counted, and may have to wait for a permit before it is answered.
struct Reads {
    store: MemoryStore,
    number: AtomicUsize,
    waits: AtomicBool,
    permits: Semaphore,
}

impl Reads {
    async fn counted<T>(&self, read: impl Future<Output = T> + Send) -> T {
        self.number.fetch_add(1, Ordering::Relaxed);
        let found = read.await;
        if self.waits.load(Ordering::Relaxed) {
            self.permits.acquire().await.unwrap().forget();
        }
        found
    }
}

#[async_trait]
impl AccountReader for Reads {
    async fn find(&self, key: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        self.counted(AccountReader::find(&self.store, key)).await
    }

    async fn find_many(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        self.counted(self.store.find_many(keys)).await
    }

    async fn find_by_ids(
        &self,
        ids: &[AccountId],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        self.store.find_by_ids(ids).await
    }

    async fn list(&self, page: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        self.store.list(page).await
    }

    async fn find_with_token(
        &self,
        id: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError> {
        self.store.find_with_token(id).await
    }
}

/// One process with accounts in memory, over a store that others write to as well.
struct Scene {
    store: MemoryStore,
    reads: Arc<Reads>,
    timer: ManualTimer,
    metrics: RecordedMetrics,
    cache: Arc<ReadCache>,
    /// The ports of this process.
    ports: StorePorts,
    watch: Watch,
    poller: EventPoller,
}

impl Scene {
    /// A process that has looked, over a store with two accounts.
    async fn new() -> Self {
        let scene = Self::before_its_first_look();
        for number in [1, 2] {
            keep(&scene.store, &account(number, "shop/7", START)).await;
        }
        scene.look().await;
        scene
    }

    fn before_its_first_look() -> Self {
        let (store, timer, metrics) =
            (empty_store(), ManualTimer::new(), RecordedMetrics::default());
        let reads = Arc::new(Reads {
            store: store.clone(),
            number: AtomicUsize::new(0),
            waits: AtomicBool::new(false),
            permits: Semaphore::new(0),
        });
        let cache = ReadCache::new(CAPACITY, Arc::new(timer.clone()), Arc::new(metrics.clone()));
        let cache = Arc::new(cache);
        let ports = StorePorts::of(Arc::new(store.clone())).reading(reads.clone());
        let shared = Arc::new(store.clone());
        let watch_ports = WatchPorts {
            log: shared.clone(),
            consumers: shared.clone(),
            accounts: shared.clone(),
            webhooks: shared,
            clock: Arc::new(FakeClock::at(START)),
            timer: Arc::new(timer.clone()),
            ids: Arc::new(SequentialIds::default()),
        };
        let watch = Watch::new(watch_ports, Duration::from_hours(48), CancellationToken::new());
        let poller = EventPoller::new(&watch, Some(Arc::clone(&cache)));
        let ports = ports.cached_by(&cache);
        Self { store, reads, timer, metrics, cache, ports, watch, poller }
    }

    /// Looks until all events are heard of.
    async fn look(&self) {
        while !self.poller.poll().await.unwrap() {}
    }

    fn accounts(&self) -> CachedAccounts {
        self.ports.cached_accounts.clone()
    }

    async fn get(&self, key: &AccountKey) -> Option<InstagramAccount> {
        self.accounts().find(key).await.unwrap().map(|account| InstagramAccount::clone(&account))
    }

    /// The account, and the number of reads that it took.
    async fn read(&self, key: &AccountKey) -> (Option<InstagramAccount>, usize) {
        let before = self.reads.number.load(Ordering::Relaxed);
        let found = self.get(key).await;
        (found, self.reads.number.load(Ordering::Relaxed) - before)
    }

    async fn stored(&self, key: &AccountKey) -> Option<InstagramAccount> {
        AccountReader::find(&self.store, key).await.unwrap()
    }

    /// Whether the account is answered from memory.
    async fn is_remembered(&self, key: &AccountKey) -> bool {
        let (found, reads) = self.read(key).await;
        found.is_some() && reads == 0
    }

    fn removals(&self) -> Arc<dyn UserRemovals> {
        self.cache.removals(Arc::new(self.store.clone()))
    }

    fn deletions(&self) -> Arc<dyn UserDeletions> {
        self.cache.deletions(Arc::new(self.store.clone()))
    }

    /// Another process renames an account.
    async fn rename(&self, number: u32) -> InstagramAccount {
        let former = self.stored(&id(number)).await.unwrap();
        let renamed = renamed(&former);
        self.store.update(&renamed, &former, None).await.unwrap();
        renamed
    }
}

/// The next revision of an account, under another handle.
fn renamed(former: &InstagramAccount) -> InstagramAccount {
    let username = parsed(&format!("renamed_{}", former.revision));
    InstagramAccount { username, ..former.clone() }.succeeding(former, START)
}

fn id(number: u32) -> AccountKey {
    AccountKey::Id(account(number, "shop/7", START).id)
}

fn professional(number: u32) -> AccountKey {
    AccountKey::Instagram(account(number, "", START).professional_account_id.into())
}

fn app_scoped(number: u32) -> AccountKey {
    let account = account(number, "", START);
    AccountKey::Instagram(parsed(account.app_scoped_user_id.unwrap().as_str()))
}

#[tokio::test]
async fn what_is_read_again_comes_from_memory() {
    let scene = Scene::new().await;
    for key in [id(1), professional(2)] {
        let expected = scene.stored(&key).await;
        assert_eq!(scene.read(&key).await, (expected.clone(), 1));
        assert_eq!(scene.read(&key).await, (expected, 0));
    }
    assert!(scene.is_remembered(&id(2)).await, "it was read by its other id");
    let read = |source, number| CountedEvent::AccountsRead { source, number };
    let (memory, store) = (read(ReadSource::Memory, 1), read(ReadSource::Store, 1));
    let counted = [store.clone(), memory.clone(), store, memory.clone(), memory];
    assert_eq!(scene.metrics.take(), counted);
}

/// They may lead to another account without anything happening to the one that they led to.
#[tokio::test]
async fn handles_and_ids_of_a_person_are_looked_up_in_the_store() {
    let scene = Scene::new().await;
    for key in [AccountKey::Username(parsed("account_1")), app_scoped(1)] {
        for _ in 0..2 {
            assert_eq!(scene.read(&key).await, (scene.stored(&id(1)).await, 1));
        }
    }
    assert!(scene.is_remembered(&id(1)).await);
}

#[tokio::test]
async fn of_many_accounts_those_that_are_not_in_memory_are_read_at_once() {
    let scene = Scene::new().await;
    assert!(scene.get(&id(1)).await.is_some());
    let instagram = |key| match key {
        AccountKey::Instagram(id) => BatchKey::Instagram(id),
        key => panic!("{key:?}"),
    };
    let ids = [1, 2].map(|number| account(number, "shop/7", START).id);
    let unknown = BatchKey::Instagram(parsed::<InstagramId>("404"));
    let keys =
        [BatchKey::Id(ids[0]), unknown.clone(), instagram(professional(2)), BatchKey::Id(ids[1])];
    let _ = scene.metrics.take();
    let before = scene.reads.number.load(Ordering::Relaxed);
    for read in 1..=2 {
        let found = scene.accounts().find_many(&keys).await.unwrap();
        let found: Vec<_> = found.iter().map(|found| found.as_ref().map(|one| one.id)).collect();
        assert_eq!(found, [Some(ids[0]), None, Some(ids[1]), Some(ids[1])]);
        // What is not there is asked for each time.
        assert_eq!(scene.reads.number.load(Ordering::Relaxed) - before, read);
    }
    let read = |source, number| CountedEvent::AccountsRead { source, number };
    let (memory, store) = (ReadSource::Memory, ReadSource::Store);
    let counted = [read(memory, 1), read(store, 3), read(memory, 3), read(store, 1)];
    assert_eq!(scene.metrics.take(), counted);
}

#[tokio::test]
async fn what_is_not_found_is_asked_for_each_time() {
    let scene = Scene::new().await;
    for key in [id(3), professional(3)] {
        assert_eq!(scene.read(&key).await, (None, 1));
    }
    keep(&scene.store, &account(3, "shop/7", START)).await;
    for key in [id(3), professional(3)] {
        assert!(scene.get(&key).await.is_some(), "nobody has looked since");
    }
}

/// Also of one and the same answer from memory.
#[tokio::test]
async fn status_and_owner_are_judged_at_each_read() {
    let scene = Scene::new().await;
    let clock = FakeClock::at(START);
    let (accounts, clock_port) = (scene.accounts(), Arc::new(clock.clone()));
    let get = GetAccount { accounts: accounts.clone(), clock: clock_port.clone() };
    let get_many = GetAccounts { accounts, clock: clock_port };
    let keys = || vec![BatchKey::Id(account(1, "", START).id)];
    let owners = ["shop/7", "shop/8"].map(|owner| OwnerScope::only(parsed(owner)));
    assert!(scene.get(&id(1)).await.is_some());
    let before = scene.reads.number.load(Ordering::Relaxed);
    for is_dead in [false, true] {
        let found = get.execute(&id(1), &owners[0]).await.unwrap();
        assert_eq!(found.status != AccountStatus::Active, is_dead);
        let found = get_many.execute(keys(), &owners[0]).await.unwrap();
        assert_eq!(found.accounts[0].status != AccountStatus::Active, is_dead);
        let hidden = get.execute(&id(1), &owners[1]).await;
        assert!(matches!(hidden, Err(GetAccountError::NotFound)), "{hidden:?}");
        let hidden = get_many.execute(keys(), &owners[1]).await.unwrap();
        assert!(hidden.accounts.is_empty(), "{hidden:?}");
        assert_eq!(hidden.not_found, keys());
        clock.advance(Duration::from_hours(24 * 61));
    }
    assert_eq!(scene.reads.number.load(Ordering::Relaxed), before, "all came from memory");
}
