//! Streams over a store in memory, whose time a test moves.

mod consumers;
mod damage;
mod ends;
mod messages;
mod payloads;
mod read_only;
mod running;
mod sharing;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use ig_application::{
    EventPoller, OpenWatch, OpenWatchError, RightsLost, Watch, WatchCommand, WatchEnd, WatchFrom,
    WatchMessage, WatchPorts, WatchRights, WatchScope, WatchStream,
};
use ig_domain::ports::{AccountReader, AccountWriter as _, ConsumerKey, Timer as _};
use ig_domain::{
    AccountEvent, AccountId, EventKind, EventPosition, InstagramAccount, LoggedEvent, OwnerScope,
};
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::contract::consumers::committed;
use ig_test_support::{FakeClock, ManualTimer, MemoryStore, SequentialIds};
use tokio_util::sync::CancellationToken;

use crate::{empty_store, keep};

const WINDOW: Duration = Duration::from_hours(24);

/// One process over a store.
struct Scene {
    store: MemoryStore,
    timer: ManualTimer,
    rights: Rights,
    watch: Watch,
    poller: EventPoller,
}

/// Rights that a test takes away.
#[derive(Clone)]
struct Rights(Arc<Mutex<Result<WatchScope, RightsLost>>>);

impl WatchRights for Rights {
    fn judge(&self) -> Result<WatchScope, RightsLost> {
        self.0.lock().unwrap().clone()
    }
}

impl Rights {
    fn set(&self, rights: Result<WatchScope, RightsLost>) {
        *self.0.lock().unwrap() = rights;
    }
}

fn scope(owners: OwnerScope) -> WatchScope {
    WatchScope { owners, kinds: EventKind::ALL.to_vec(), shows_accounts: true }
}

impl Scene {
    fn new() -> Self {
        Self::over(&empty_store())
    }

    fn over(store: &MemoryStore) -> Self {
        Self::of_process(store, &ManualTimer::new(), 0)
    }

    /// Another process over the same store.
    fn other_process(&self) -> Self {
        Self::of_process(&self.store, &self.timer, 1000)
    }

    fn of_process(store: &MemoryStore, timer: &ManualTimer, first_id: u64) -> Self {
        Self::reading(store, timer, first_id, Arc::new(store.clone()))
    }

    /// A process that reads accounts by `accounts`.
    fn reading(
        store: &MemoryStore,
        timer: &ManualTimer,
        first_id: u64,
        accounts: Arc<dyn AccountReader>,
    ) -> Self {
        let shared = Arc::new(store.clone());
        let ports = WatchPorts {
            log: shared.clone(),
            consumers: shared.clone(),
            accounts,
            webhooks: shared,
            clock: Arc::new(FakeClock::at(START)),
            timer: Arc::new(timer.clone()),
            ids: Arc::new(SequentialIds::after(first_id)),
        };
        let watch = Watch::new(ports, WINDOW, CancellationToken::new());
        let (store, timer) = (store.clone(), timer.clone());
        let rights = Rights(Arc::new(Mutex::new(Ok(scope(OwnerScope::everyone())))));
        Self { store, timer, rights, poller: EventPoller::new(&watch, None), watch }
    }

    /// Looks until all events are in the feed.
    async fn poll(&self) {
        while !self.poller.poll().await.unwrap() {}
    }

    /// Lets time pass for the process, which looks and keeps its consumers meanwhile, and for the store.
    async fn pass(&self, span: Duration) {
        let end = self.timer.now() + span;
        while self.timer.now() < end {
            self.pass_unseen(Duration::from_secs(1).min(end - self.timer.now()));
            self.watch.holds.keep().await.unwrap();
            self.poll().await;
        }
    }

    /// Lets time pass while the process does nothing.
    fn pass_unseen(&self, span: Duration) {
        self.timer.advance(span);
        self.store.pass_lease_time(span);
    }

    fn command(&self, from: impl Into<Option<WatchFrom>>) -> WatchCommand {
        let rights = Box::new(self.rights.clone());
        WatchCommand { from: from.into(), consumer: None, rights }
    }

    /// From now on streams see events of these kinds only.
    fn see_only(&self, kinds: &[EventKind]) {
        self.rights.set(Ok(WatchScope { kinds: kinds.to_vec(), ..scope(OwnerScope::everyone()) }));
    }

    async fn try_open(&self, command: WatchCommand) -> Result<WatchStream, OpenWatchError> {
        OpenWatch { watch: self.watch.clone() }.execute(command).await
    }

    async fn open(&self, from: WatchFrom) -> WatchStream {
        self.try_open(self.command(from)).await.unwrap()
    }

    async fn open_consumer(
        &self,
        name: &str,
        from: impl Into<Option<WatchFrom>>,
    ) -> Result<WatchStream, OpenWatchError> {
        self.try_open(WatchCommand { consumer: Some(consumer(name)), ..self.command(from) }).await
    }

    /// The committed cursor of the consumer `feed`.
    async fn committed(&self) -> Option<EventPosition> {
        committed(&self.store, &consumer("feed")).await
    }

    /// Links account `number` of `owner`.
    async fn link(&self, number: u32, owner: &str) -> InstagramAccount {
        let account = account(number, owner, START);
        keep(&self.store, &account).await;
        account
    }

    /// Changes the handle of `account`, so many times.
    async fn rename(&self, account: &mut InstagramAccount, times: u32) {
        for _ in 0..times {
            let former = account.clone();
            account.revision += 1;
            account.username = parsed(&format!("renamed_{}", account.revision));
            self.store.update(account, &former, None).await.unwrap();
        }
    }
}

fn consumer(name: &str) -> ConsumerKey {
    ConsumerKey { caller: parsed("publisher"), name: parsed(name) }
}

/// What the stream says at once, `None` while it waits.
fn now(stream: &mut WatchStream) -> Option<Result<WatchMessage, WatchEnd>> {
    let next = stream.next().now_or_never()?;
    Some(next.map(|message| WatchMessage::clone(&message)))
}

/// The message that the stream has at once.
#[track_caller]
fn message(stream: &mut WatchStream) -> WatchMessage {
    now(stream).expect("a message").expect("no end")
}

fn end(stream: &mut WatchStream) -> Option<WatchEnd> {
    now(stream).and_then(Result::err)
}

fn event(logged: &LoggedEvent) -> &AccountEvent {
    logged.event.as_ref().unwrap()
}

/// Account and revision of each event.
fn told(message: &WatchMessage) -> Vec<(AccountId, i64)> {
    let told = |logged: &Arc<LoggedEvent>| (event(logged).account_id, event(logged).revision);
    message.events.iter().map(told).collect()
}

#[track_caller]
fn cursor(message: &WatchMessage) -> EventPosition {
    message.cursor.expect("a cursor")
}
