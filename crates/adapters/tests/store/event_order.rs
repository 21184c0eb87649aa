//! Writers and readers of several processes at once: no event is lost, and those of one account come in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ig_adapters::system::{RandomIds, SystemClock, TokioTimer};
use ig_application::{
    EventPoller, OpenWatch, RightsLost, Watch, WatchCommand, WatchFrom, WatchPorts, WatchRights,
    WatchScope,
};
use ig_domain::ports::{AccountKey, StoreError};
use ig_domain::{AccountId, EventId, EventKind, EventPosition, LoggedEvent, OwnerScope};
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::contract::{Ports, StoreUnderTest as _};
use rstest::rstest;
use sea_orm::sqlx::{Connection as _, Executor as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fixture::{On, Postgres, TestDatabase, key, open, ports};
use super::keys::link;

const ACCOUNTS: u32 = 64;
const WRITERS: u64 = 8;
const READERS: u64 = 3;

/// Maximum number of changes until a reader that has read everything reads on.
const MAX_REST: u64 = 100;

/// A row of numbers that look random, another one for each seed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Number of changes to make: as many as `EVENTS` says, else 10,000.
#[expect(clippy::disallowed_methods, reason = "how long to go on is a setting of this test")]
fn changes() -> u64 {
    std::env::var("EVENTS").map_or(10_000, |events| events.parse().unwrap())
}

/// Renames accounts, each as often as it is drawn, on top of what others store meanwhile. `made` counts what is
/// committed.
async fn rename(ports: Ports, left: Arc<AtomicU64>, made: watch::Sender<u64>, mut draws: Draws) {
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
        .is_ok()
    {
        let number = u32::try_from(draws.below(u64::from(ACCOUNTS))).unwrap() + 1;
        let key = AccountKey::Id(account(number, "", START).id);
        loop {
            let former = ports.accounts.find(&key).await.unwrap().unwrap();
            let mut next = former.clone();
            next.username = parsed(&format!("renamed_{}", former.revision));
            let next = next.succeeding(&former, START);
            match ports.account_writer.update(&next, &former, None).await {
                Ok(()) => break,
                Err(StoreError::Conflict | StoreError::Overloaded(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        made.send_modify(|made| *made += 1);
    }
}

/// Follows the log, and checks that what it reads is the log.
struct Reader {
    ports: Ports,
    position: EventPosition,
    /// Whether what was read before may come again.
    resumed: bool,
    ids: Vec<EventId>,
    revisions: HashMap<AccountId, i64>,
}

impl Reader {
    async fn begin(ports: Ports) -> Self {
        let position = ports.event_log.look(None).await.unwrap().head;
        Self { ports, position, resumed: false, ids: Vec::new(), revisions: HashMap::new() }
    }

    /// Reads a page. `false` where there was nothing more.
    async fn read(&mut self) -> bool {
        let log = &self.ports.event_log;
        let state = log.look(Some(&self.position)).await.unwrap();
        assert!(state.holds, "{:?} is not in the log", self.position);
        if state.waits {
            log.number_waiting().await.unwrap();
        }
        let page = log.page(self.position.number, 100).await.unwrap();
        for event in &page {
            self.take(event);
        }
        state.waits || !page.is_empty()
    }

    fn take(&mut self, LoggedEvent { number, id, event, .. }: &LoggedEvent) {
        assert_eq!(*number, self.position.number + 1, "a gap");
        self.position = EventPosition { number: *number, event: *id, ..self.position };
        let index = usize::try_from(number - 1).unwrap();
        if let Some(known) = self.ids.get(index) {
            assert!(self.resumed && known == id, "{number} came again");
            return;
        }
        self.resumed = false;
        self.ids.push(*id);
        let event = event.as_ref().unwrap();
        let former = self.revisions.insert(event.account_id, event.revision).unwrap_or(0);
        assert_eq!(event.revision, former + 1, "{event:?}");
    }

    /// Goes on from what it had read some while ago.
    fn resume(&mut self, draws: &mut Draws) {
        let read = self.ids.len() as u64;
        let back = usize::try_from(read - draws.below(read.min(300) + 1)).unwrap();
        let event = if back == 0 { EventId::NONE } else { self.ids[back - 1] };
        self.position =
            EventPosition { number: i64::try_from(back).unwrap(), event, ..self.position };
        self.resumed = true;
    }
}

/// Reads until there is nothing more after all changes are made.
async fn follow(mut reader: Reader, mut made: watch::Receiver<u64>, mut draws: Draws) -> Reader {
    loop {
        let before = *made.borrow();
        if !reader.read().await {
            if before == changes() {
                return reader;
            }
            let next = changes().min(before + 1 + draws.below(MAX_REST));
            made.wait_for(|made| *made >= next).await.unwrap();
        }
        if draws.below(20) == 0 {
            reader.resume(&mut draws);
        }
    }
}

/// May see everything.
struct Everything;

impl WatchRights for Everything {
    fn judge(&self) -> Result<WatchScope, RightsLost> {
        let (owners, kinds) = (OwnerScope::everyone(), EventKind::ALL.to_vec());
        Ok(WatchScope { owners, kinds, shows_accounts: true })
    }
}

/// The streams of a process, whose poller runs for as long as they are read.
async fn watch_all(ports: Ports, draws: Draws) -> HashMap<AccountId, i64> {
    let ports = WatchPorts {
        log: ports.event_log,
        consumers: ports.consumers,
        accounts: ports.accounts,
        webhooks: ports.webhooks,
        clock: Arc::new(SystemClock),
        timer: Arc::new(TokioTimer),
        ids: Arc::new(RandomIds),
    };
    let watch = Watch::new(ports, Duration::from_hours(1), CancellationToken::new());
    let poller = EventPoller::new(&watch, None);
    tokio::select! {
        () = poller.run() => unreachable!(),
        revisions = follow_streams(OpenWatch { watch }, draws) => revisions,
    }
}

/// Follows the log by one stream after the other. Returns the last revision of each account.
async fn follow_streams(open: OpenWatch, mut draws: Draws) -> HashMap<AccountId, i64> {
    let (mut revisions, mut from) = (HashMap::new(), WatchFrom::Earliest);
    let mut missing = changes() + u64::from(ACCOUNTS);
    while missing > 0 {
        let (from_here, rights) = (Some(from), Box::new(Everything));
        let command = WatchCommand { from: from_here, consumer: None, rights };
        let mut stream = open.execute(command).await.unwrap();
        let messages = draws.below(20) + 1;
        for _ in 0..messages {
            if missing == 0 {
                break;
            }
            let sent = stream.next().await.unwrap();
            for event in sent.events.iter().map(|logged| logged.event.as_ref().unwrap()) {
                let former = revisions.insert(event.account_id, event.revision).unwrap_or(0);
                assert_eq!(event.revision, former + 1, "{event:?}");
                missing -= 1;
            }
            from = WatchFrom::After(sent.cursor.unwrap());
        }
    }
    revisions
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_come_and_go_read_each_event_of_many_writers_in_order(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let processes = [store.ports(), ports(open(&store.url()), parsed("990602627938098"), &key(1))];
    let process = |number: u64| processes[usize::try_from(number % 2).unwrap()].clone();
    let mut readers = JoinSet::new();
    let made = watch::Sender::new(0);
    for number in 0..READERS {
        let reader = Reader::begin(process(number)).await;
        readers.spawn(follow(reader, made.subscribe(), Draws(number)));
    }
    for number in 1..=ACCOUNTS {
        link(&store.ports(), number).await;
    }
    let mut streams = JoinSet::new();
    for number in 0..2 {
        streams.spawn(watch_all(process(number), Draws(number)));
    }
    let left = Arc::new(AtomicU64::new(changes()));
    let writer =
        |number| rename(process(number), Arc::clone(&left), made.clone(), Draws(100 + number));
    (0..WRITERS).map(writer).collect::<JoinSet<()>>().join_all().await;
    let mut last = HashMap::new();
    for reader in readers.join_all().await {
        assert_eq!(reader.ids.len() as u64, changes() + u64::from(ACCOUNTS));
        for number in 1..=ACCOUNTS {
            let id = account(number, "", START).id;
            let found = reader.ports.accounts.find(&AccountKey::Id(id)).await.unwrap().unwrap();
            assert_eq!(reader.revisions[&id], found.revision);
        }
        last = reader.revisions;
    }
    for streamed in streams.join_all().await {
        assert_eq!(streamed, last);
    }
}

/// The second store is broken: its events get their number in their transaction, as they would from a sequence.
#[rstest]
#[case::numbered_after_the_commit(false)]
#[case::numbered_in_the_transaction(true)]
#[tokio::test]
async fn an_event_that_commits_late_is_lost_only_where_it_had_its_number_before(
    #[case] is_broken: bool,
) {
    let store = Postgres::migrated().await;
    let ports = store.ports();
    let mut reader = Reader::begin(ports.clone()).await;
    link(&ports, 1).await;
    link(&ports, 2).await;
    while reader.read().await {}
    let read = async |reader: &Reader| {
        ports.event_log.look(None).await.unwrap();
        ports.event_log.number_waiting().await.unwrap();
        ports.event_log.page(reader.position.number, 9).await.unwrap()
    };
    if is_broken {
        store.run("CREATE SEQUENCE broken START 3").await;
        store
            .run(
                "CREATE FUNCTION number() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN NEW.number := nextval('broken'); RETURN NEW; END $$",
            )
            .await;
        store
            .run(
                "CREATE TRIGGER number BEFORE INSERT ON account_event
                FOR EACH ROW EXECUTE FUNCTION number()",
            )
            .await;
    }
    let rename = |number: u32| {
        format!(
            "UPDATE instagram_account SET username = 'other', revision = revision + 1
            WHERE username = 'account_{number}'"
        )
    };
    let mut late = store.connection().await;
    let mut transaction = late.begin().await.unwrap();
    transaction.execute(sea_orm::sqlx::AssertSqlSafe(rename(1))).await.unwrap();
    store.run(&rename(2)).await;
    let first = read(&reader).await;
    reader.position.number = first.last().unwrap().number;
    transaction.commit().await.unwrap();
    let second = read(&reader).await;
    let numbers: Vec<_> = first.iter().chain(&second).map(|event| event.number).collect();
    assert_eq!(numbers, if is_broken { vec![4] } else { vec![3, 4] });
}
