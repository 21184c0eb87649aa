//! Replicas that write, and read through their memory, as fast as they can: no answer is older than its bound.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ig_adapters::system::{RandomIds, SystemClock, TokioTimer};
use ig_application::{EventPoller, ReadCache, StorePorts, Watch, WatchPorts};
use ig_domain::ports::{
    AccountKey, CompletedImport, CountedEvent, EventLog, Ids as _, LogState, Metrics, ReadSource,
    StoreError,
};
use ig_domain::{AccountId, EventPosition, InstagramAccount, LoggedEvent};
use ig_test_support::builders::{START, account, long_lived, parsed};
use rstest::rstest;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fixture::{On, key, open, store};

/// Number of accounts. Each is written by one replica.
const ACCOUNTS: usize = 16;

/// Within it a change shows on other replicas.
const BOUND: Duration = Duration::from_secs(1);

/// Time for which all go on in a phase: longer than the bound.
const PHASE: Duration = Duration::from_millis(1500);

/// Maximum number of phases until a replica answers from memory: a busy machine takes its time to begin.
const MAX_PHASES: u32 = 20;

/// Readers of a replica.
const READERS: usize = 2;

/// Once in so many writes an account is unlinked, and comes again under another id.
const UNLINKING: u64 = 10;

/// An account as it is after a write that has begun, and the moment at which its writer heard that it is stored.
struct Version {
    stored: Option<(AccountId, i64)>,
    told: Option<Instant>,
}

/// The versions of all accounts, in the order in which their writers made them.
#[derive(Default)]
struct Versions([Mutex<Vec<Version>>; ACCOUNTS]);

impl Versions {
    fn begin(&self, number: usize, stored: Option<(AccountId, i64)>) -> usize {
        let mut versions = self.0[number].lock().unwrap();
        versions.push(Version { stored, told: None });
        versions.len() - 1
    }

    fn told(&self, number: usize, version: usize) {
        self.0[number].lock().unwrap()[version].told = Some(Instant::now());
    }

    /// Checks the answer to a read that began at `begin`, on the replica that writes the account or on another one.
    fn check(&self, number: usize, answer: &InstagramAccount, begin: Instant, is_own: bool) {
        let versions = self.0[number].lock().unwrap();
        let stored = Some((answer.id, answer.revision));
        let answered = versions.iter().rposition(|version| version.stored == stored);
        let answered = answered.expect("an account never was as it was read");
        let bound = if is_own { Duration::ZERO } else { BOUND };
        let is_due = |told: Instant| told + bound <= begin;
        let due = versions.iter().rposition(|version| version.told.is_some_and(is_due));
        if let Some(due) = due.filter(|due| *due > answered) {
            let age = versions[due].told.map(|told| begin - told);
            panic!("account {number} was read as it was {age:?} before, by its writer: {is_own}");
        }
    }
}

/// Counts the answers from memory.
#[derive(Clone, Default)]
struct Hits(Arc<AtomicU64>);

impl Metrics for Hits {
    fn count(&self, event: CountedEvent) {
        if let CountedEvent::AccountsRead { source: ReadSource::Memory, number } = event {
            self.0.fetch_add(number, Ordering::Relaxed);
        }
    }
}

/// A log that answers no look while it is stalled.
struct Stalling {
    log: Arc<dyn EventLog>,
    stalled: watch::Receiver<bool>,
}

#[async_trait]
impl EventLog for Stalling {
    async fn look(&self, at: Option<&EventPosition>) -> Result<LogState, StoreError> {
        let state = self.log.look(at).await;
        let _ = self.stalled.clone().wait_for(|stalled| !stalled).await;
        state
    }

    async fn number_waiting(&self) -> Result<u64, StoreError> {
        self.log.number_waiting().await
    }

    async fn page(&self, after: i64, limit: u64) -> Result<Vec<LoggedEvent>, StoreError> {
        self.log.page(after, limit).await
    }

    async fn since(
        &self,
        time: OffsetDateTime,
        window: Duration,
    ) -> Result<Option<EventPosition>, StoreError> {
        self.log.since(time, window).await
    }

    async fn written(&self) {
        self.log.written().await;
    }

    async fn purge(&self, window: Duration, limit: u64) -> Result<u64, StoreError> {
        self.log.purge(window, limit).await
    }
}

/// A process that serves. Dropping it kills it.
struct Replica {
    number: usize,
    ports: StorePorts,
    hits: Hits,
    stalled: watch::Sender<bool>,
    /// The poller alone.
    poller: JoinSet<()>,
    /// The writer alone.
    writer: JoinSet<()>,
}

impl Replica {
    fn start(number: usize, url: &str, versions: &Arc<Versions>) -> Self {
        let store = Arc::new(store(open(url), parsed("990602627938098"), &key(1)));
        let (timer, hits) = (Arc::new(TokioTimer), Hits::default());
        let cache = Arc::new(ReadCache::new(1 << 20, timer.clone(), Arc::new(hits.clone())));
        let ports = StorePorts::of(store.clone()).cached_by(&cache);
        let (stalled, stalls) = watch::channel(false);
        let watch_ports = WatchPorts {
            log: Arc::new(Stalling { log: store.clone(), stalled: stalls }),
            consumers: store.clone(),
            accounts: store.clone(),
            webhooks: store,
            clock: Arc::new(SystemClock),
            timer,
            ids: Arc::new(RandomIds),
        };
        let watch = Watch::new(watch_ports, Duration::from_hours(48), CancellationToken::new());
        let poller = EventPoller::new(&watch, Some(cache));
        let (mut polling, mut writer) = (JoinSet::new(), JoinSet::new());
        polling.spawn(async move { poller.run().await });
        writer.spawn(write(number, ports.clone(), Arc::clone(versions)));
        Self { number, ports, hits, stalled, poller: polling, writer }
    }

    /// Reads all accounts again and again for so long, and checks each answer. Returns the number of answers.
    fn read(&self, span: Duration, versions: &Arc<Versions>, readers: &mut JoinSet<u64>) {
        for reader in 0..READERS {
            let (ports, versions, replica) =
                (self.ports.clone(), Arc::clone(versions), self.number);
            let end = Instant::now() + span;
            readers.spawn(async move {
                let mut answers = 0;
                for number in (0..ACCOUNTS).cycle().skip(reader) {
                    let begin = Instant::now();
                    if begin >= end {
                        break;
                    }
                    match ports.cached_accounts.find(&professional(number)).await {
                        Ok(Some(found)) => {
                            versions.check(number, &found, begin, is_written_by(number, replica));
                            answers += 1;
                        }
                        Ok(None) | Err(StoreError::Overloaded(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                    // A hit waits for nothing, and others are to have their turn.
                    tokio::task::yield_now().await;
                }
                answers
            });
        }
    }

    fn answers_from_memory(&self) -> u64 {
        self.hits.0.load(Ordering::Relaxed)
    }
}

fn is_written_by(number: usize, replica: usize) -> bool {
    number % 2 == replica
}

fn professional(number: usize) -> AccountKey {
    AccountKey::Instagram(usual(number).professional_account_id.into())
}

fn usual(number: usize) -> InstagramAccount {
    account(u32::try_from(number).unwrap(), "", START)
}

/// Changes the accounts of a replica again and again.
async fn write(replica: usize, ports: StorePorts, versions: Arc<Versions>) {
    for round in 0.. {
        for number in (0..ACCOUNTS).filter(|number| is_written_by(*number, replica)) {
            let found = ports.accounts.find(&professional(number)).await;
            let written = match found {
                Ok(Some(former)) if (round + number as u64).is_multiple_of(UNLINKING) => {
                    let version = versions.begin(number, None);
                    let removed = ports.account_writer.remove(former.id, former.revision).await;
                    removed.map(|()| version)
                }
                Ok(Some(former)) => {
                    let username = parsed(&format!("renamed_{}", former.revision));
                    let next = InstagramAccount { username, ..former.clone() };
                    let next = next.succeeding(&former, START);
                    let version = versions.begin(number, Some((next.id, next.revision)));
                    let updated = ports.account_writer.update(&next, &former, None).await;
                    updated.map(|()| version)
                }
                Ok(None) => {
                    let id = RandomIds.account_id(START);
                    let version = versions.begin(number, Some((id, 1)));
                    let import = CompletedImport {
                        displaced: None,
                        account: InstagramAccount { id, ..usual(number) },
                        former_revision: None,
                        token: long_lived("IGAA-first"),
                    };
                    ports.account_writer.import(&import).await.map(|_| version)
                }
                Err(error) => Err(error),
            };
            match written {
                Ok(version) => versions.told(number, version),
                Err(StoreError::Overloaded(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

/// Lets all replicas read for a phase.
async fn read_all(replicas: &[&Replica], versions: &Arc<Versions>) -> u64 {
    let mut readers = JoinSet::new();
    for replica in replicas {
        replica.read(PHASE, versions, &mut readers);
    }
    readers.join_all().await.into_iter().sum()
}

/// Lets all replicas read until `replica`, one of them, has answered from memory more than `before` times.
async fn read_until_from_memory(
    replicas: &[&Replica],
    replica: &Replica,
    before: u64,
    versions: &Arc<Versions>,
) -> u64 {
    let mut answers = 0;
    for _ in 0..MAX_PHASES {
        answers += read_all(replicas, versions).await;
        if replica.answers_from_memory() > before {
            return answers;
        }
    }
    panic!("{answers} answers, and none of them from memory");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_older_than_its_bound(#[values(On::Sqlite, On::Postgres)] on: On) {
    let database = on.migrated().await;
    let versions = Arc::new(Versions::default());
    let start = |number| Replica::start(number, &database.url(), &versions);
    let (first, mut second) = (start(0), start(1));

    let both = [&first, &second];
    let mut answers = 0;
    for replica in both {
        answers += read_until_from_memory(&both, replica, 0, &versions).await;
    }
    let from_memory = first.answers_from_memory() + second.answers_from_memory();
    assert!(answers > from_memory, "{from_memory} of {answers}");

    // The store answers no look of the second replica, whose answers go on.
    second.stalled.send_replace(true);
    read_all(&[&first, &second], &versions).await;
    let before = second.answers_from_memory();
    read_all(&[&second], &versions).await;
    assert_eq!(second.answers_from_memory(), before, "its bound is over");
    second.stalled.send_replace(false);
    read_until_from_memory(&[&first, &second], &second, before, &versions).await;

    // Killed in the midst of its writes, and begun anew.
    second.writer.abort_all();
    second.poller.abort_all();
    drop(second);
    second = start(1);
    read_until_from_memory(&[&first, &second], &second, 0, &versions).await;

    second.poller.shutdown().await;
    read_all(&[&first, &second], &versions).await;
    let before = second.answers_from_memory();
    read_all(&[&first, &second], &versions).await;
    assert_eq!(second.answers_from_memory(), before, "its bound is over");
    for mut replica in [first, second] {
        assert!(replica.writer.try_join_next().is_none(), "a writer has failed");
    }
}
