//! Feed: the newest events in memory, for all streams of a process.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ig_domain::{AccountId, EventPosition, InstagramAccount, LineLimit, LogId, LoggedEvent};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

use super::{SharedMessage, WatchScope};

/// Maximum number of events in memory.
const MAX_WINDOW_EVENTS: usize = 10_000;

/// Maximum age of an account of which a message is made. It is sent within [`MAX_SHARED_AGE`]: at most a second old.
pub(super) const MAX_ACCOUNT_AGE: Duration = Duration::from_millis(750);

/// Maximum age of a look at the store by which a stream is caught up.
pub(super) const MAX_CAUGHT_UP_AGE: Duration = Duration::from_millis(250);

/// Maximum age of a message that streams share.
const MAX_SHARED_AGE: Duration = Duration::from_millis(250);

/// Maximum number of messages that streams share after a look: those of so many scopes, or of streams that are so far
/// behind.
const MAX_SHARED_MESSAGES: usize = 8;

/// The newest events, and the accounts that they are about.
pub(super) struct EventFeed {
    state: Mutex<FeedState>,
    changed: Notify,
    streams: AtomicUsize,
    opened: Notify,
    /// Lines about accounts that cannot be read.
    pub(super) lines: LineLimit<()>,
}

#[derive(Default)]
struct FeedState {
    /// Position behind the newest event; `None` before the first look.
    head: Option<EventPosition>,
    look: Option<Look>,
    events: VecDeque<Arc<LoggedEvent>>,
    accounts: HashMap<AccountId, ReadAccount>,
    /// Messages that were made of late, mostly since the last look.
    messages: Vec<MadeMessage>,
    /// Cancelled once the log is not the one that the streams follow.
    epoch: CancellationToken,
    /// That of the log which takes the place of this one.
    next_epoch: CancellationToken,
}

/// A look at the log.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Moment before it, by the timer.
    pub(super) time: Instant,
    /// Whether all events that were committed then are in the feed.
    pub(super) is_complete: bool,
}

/// An account as it was read for the feed; `None` where it was gone.
pub(super) struct ReadAccount {
    pub(super) account: Option<InstagramAccount>,
    /// Number of the last event that had been read before it.
    pub(super) as_of: i64,
    /// Moment before its reading, by the timer.
    pub(super) time: Instant,
}

/// A message as it was made for one stream.
struct MadeMessage {
    after: EventPosition,
    scope: Arc<WatchScope>,
    message: Arc<SharedMessage>,
    /// Moment before its making, by the timer.
    time: Instant,
}

impl MadeMessage {
    /// Whether it is for streams at this place with this scope.
    fn is_for(&self, after: &EventPosition, scope: &WatchScope) -> bool {
        self.after == *after && *self.scope == *scope
    }

    /// Whether it may be sent at `now`.
    fn is_fresh(&self, now: Instant) -> bool {
        now <= self.time + MAX_SHARED_AGE
    }
}

/// Events of the feed behind a position.
pub(super) enum FeedPage {
    /// The next ones.
    Events(Vec<Arc<LoggedEvent>>),
    /// There is none yet.
    Nothing,
    /// The next one is no longer in memory.
    Behind,
    /// The position is of another log than the feed.
    OtherLog,
}

/// Counts one stream as long as it lives.
pub(super) struct OpenStream(Arc<EventFeed>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl EventFeed {
    /// A feed before its first look.
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            streams: AtomicUsize::default(),
            opened: Notify::new(),
            lines: LineLimit::new(Duration::from_mins(1)),
        }
    }

    /// Counts a stream, so that the feed is filled more often.
    pub(super) fn open(self: &Arc<Self>) -> OpenStream {
        if self.streams.fetch_add(1, Ordering::Relaxed) == 0 {
            self.opened.notify_one();
        }
        OpenStream(Arc::clone(self))
    }

    /// Whether there is a stream.
    pub(super) fn has_streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    /// Returns once there was no stream and one opened.
    pub(super) async fn opened(&self) {
        self.opened.notified().await;
    }

    /// Returns at the first change after this call. Who waits first is woken first.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// A token that is cancelled once the log is another one.
    pub(super) fn epoch(&self) -> CancellationToken {
        self.lock().epoch.clone()
    }

    /// A token that is cancelled once the log is another one than `log`, of which the feed may not know yet.
    pub(super) fn epoch_of(&self, log: LogId) -> CancellationToken {
        let state = self.lock();
        let is_known = state.head.is_none_or(|head| head.log == log);
        if is_known { state.epoch.clone() } else { state.next_epoch.clone() }
    }

    /// Position behind the newest event; `None` before the first look.
    pub(super) fn head(&self) -> Option<EventPosition> {
        self.lock().head
    }

    /// Moment of the last look at the store that succeeded.
    pub(super) fn look_time(&self) -> Option<Instant> {
        self.lock().look.map(|look| look.time)
    }

    /// At most `limit` events behind `position`.
    pub(super) fn after(&self, position: &EventPosition, limit: usize) -> FeedPage {
        let state = self.lock();
        let Some(head) = state.head else { return FeedPage::Nothing };
        if head.log != position.log {
            return FeedPage::OtherLog;
        }
        if head.number <= position.number {
            return FeedPage::Nothing;
        }
        let first = state.events.front().map(|event| position.number + 1 - event.number);
        let Some(start) = first.and_then(|start| usize::try_from(start).ok()) else {
            return FeedPage::Behind;
        };
        FeedPage::Events(state.events.iter().skip(start).take(limit).cloned().collect())
    }

    /// The message that was made for another stream behind this position, with this scope, if it may be sent at `now`.
    pub(super) fn shared_message(
        &self,
        after: &EventPosition,
        scope: &WatchScope,
        now: Instant,
    ) -> Option<Arc<SharedMessage>> {
        let state = self.lock();
        let made = state.messages.iter().find(|made| made.is_for(after, scope))?;
        made.is_fresh(now).then(|| Arc::clone(&made.message))
    }

    /// Keeps a message, which was made from `time` on, for other streams, in place of one for the same.
    pub(super) fn share(
        &self,
        after: EventPosition,
        scope: Arc<WatchScope>,
        message: Arc<SharedMessage>,
        time: Instant,
    ) {
        let mut state = self.lock();
        let messages = &mut state.messages;
        messages.retain(|made| made.is_fresh(time) && !made.is_for(&after, &scope));
        if messages.len() < MAX_SHARED_MESSAGES {
            messages.push(MadeMessage { after, scope, message, time });
        }
    }

    /// Whether the events up to `position` are all that were committed at a look not before `oldest`, of at most
    /// [`MAX_CAUGHT_UP_AGE`].
    pub(super) fn is_caught_up(
        &self,
        position: &EventPosition,
        oldest: Instant,
        now: Instant,
    ) -> bool {
        let state = self.lock();
        let is_behind =
            |head: EventPosition| head.log == position.log && head.number <= position.number;
        let reached = state.head.is_some_and(is_behind);
        let is_fresh =
            |look: Look| look.time >= oldest && now.duration_since(look.time) <= MAX_CAUGHT_UP_AGE;
        reached && state.look.is_some_and(|look| look.is_complete && is_fresh(look))
    }

    /// Accounts that were read after event `number` and not before `oldest`, and the ids of those that were not.
    pub(super) fn accounts(
        &self,
        ids: BTreeSet<AccountId>,
        number: i64,
        oldest: Option<Instant>,
    ) -> (Vec<InstagramAccount>, Vec<AccountId>) {
        let (mut accounts, mut missing) = (Vec::new(), Vec::new());
        let state = self.lock();
        for id in ids {
            let fresh = |read: &&ReadAccount| read.as_of >= number && Some(read.time) >= oldest;
            match state.accounts.get(&id).filter(fresh) {
                Some(read) => accounts.extend(read.account.clone()),
                None => missing.push(id),
            }
        }
        (accounts, missing)
    }

    /// Begins anew behind `head`. Streams that follow another log end.
    pub(super) fn begin_anew(&self, head: EventPosition, time: Instant) {
        let mut state = self.lock();
        if state.head.is_some() {
            let next = std::mem::take(&mut state.next_epoch);
            std::mem::replace(&mut state.epoch, next).cancel();
        }
        state.events.clear();
        state.accounts.clear();
        state.messages.clear();
        (state.head, state.look) = (Some(head), Some(Look { time, is_complete: false }));
        drop(state);
        self.changed.notify_waiters();
    }

    /// Adds events, which follow the head, and accounts that were read for them.
    pub(super) fn extend(
        &self,
        events: Vec<LoggedEvent>,
        accounts: impl IntoIterator<Item = (AccountId, ReadAccount)>,
    ) {
        let mut state = self.lock();
        let state = &mut *state;
        if let (Some(head), Some(last)) = (&mut state.head, events.last()) {
            (head.number, head.event) = (last.number, last.id);
        }
        state.events.extend(events.into_iter().map(Arc::new));
        let surplus = state.events.len().saturating_sub(MAX_WINDOW_EVENTS);
        state.events.drain(..surplus);
        state.accounts.extend(accounts);
    }

    /// Ends a look: streams see what it brought. Accounts that were read before `oldest` are forgotten.
    pub(super) fn publish(&self, look: Look, oldest: Option<Instant>) {
        let mut state = self.lock();
        state.look = Some(look);
        state.messages.clear();
        state.accounts.retain(|_, read| Some(read.time) >= oldest);
        drop(state);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
