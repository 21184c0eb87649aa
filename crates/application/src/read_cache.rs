//! Accounts in memory, for callers that read the same ones often.
//!
//! An account in memory is as good as the stored one while all that others have committed is heard of. The poller hears
//! of it by the events: an account is answered from memory only while the poller's last complete look began less than
//! [`MAX_LOOK_AGE`] ago, and at most [`MAX_READING_AGE`] after its reading began, since some fields change without an
//! event. What this process writes is forgotten before its caller is answered.

mod cached_accounts;
mod memory;
mod weight;
mod written;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ig_domain::ports::{AccountKey, CountedEvent, Metrics, ReadSource, Timer};
use ig_domain::{AccountId, EventKind, LoggedEvent};
use tokio::sync::Notify;

pub use self::cached_accounts::CachedAccounts;
use self::memory::{Memory, Reading};
use self::written::Forgetting;
use crate::ReadAccount;

/// Time from the beginning of a complete look at the events in which accounts are answered from memory. The contract's
/// bound: within it a change shows that another process has made.
const MAX_LOOK_AGE: Duration = Duration::from_secs(1);

/// Time from the beginning of an account's reading in which it is answered from memory: by so much a field may lag that
/// changes without an event, such as a count. Ours.
const MAX_READING_AGE: Duration = Duration::from_mins(1);

/// Accounts in memory.
pub struct ReadCache {
    timer: Arc<dyn Timer>,
    metrics: Arc<dyn Metrics>,
    memory: Memory,
    /// Moment from which `look` counts.
    begin: Instant,
    /// Nanoseconds from `begin` to the beginning of the last complete look, plus one; 0 before it.
    look: AtomicU64,
    /// Whether somebody has read since the poller asked for it.
    was_read: AtomicBool,
    first_read: Notify,
}

impl ReadCache {
    /// A cache of at most `capacity` bytes, with nothing in it. It answers nothing before an
    /// [`EventPoller`](crate::EventPoller) looks for it.
    #[must_use]
    pub fn new(capacity: u64, timer: Arc<dyn Timer>, metrics: Arc<dyn Metrics>) -> Self {
        Self {
            begin: timer.now(),
            timer,
            metrics,
            memory: Memory::new(capacity),
            look: AtomicU64::new(0),
            was_read: AtomicBool::new(false),
            first_read: Notify::new(),
        }
    }

    /// The account with this key, if it is in memory and may be answered from there.
    fn find(&self, key: &AccountKey) -> Option<Arc<ReadAccount>> {
        self.note_read();
        // The look first and the clock last: whatever happens between is as if it happened before the look ended.
        let look = self.last_look()?;
        let remembered = self.memory.find(key)?;
        let now = self.timer.now();
        let is_current = now.saturating_duration_since(look) < MAX_LOOK_AGE
            && now.saturating_duration_since(remembered.reading_time) < MAX_READING_AGE;
        is_current.then_some(remembered.account)
    }

    /// Begins to read accounts from the store.
    fn begin_reading(&self) -> Reading {
        self.memory.begin_reading(self.timer.now())
    }

    /// Keeps an account that was read by `key`, unless it may have changed since the reading began.
    fn keep(&self, reading: &Reading, key: &AccountKey, account: &Arc<ReadAccount>) {
        self.memory.keep(reading, key, account);
    }

    /// Counts so many accounts that were looked for here and found, or not.
    fn count(&self, source: ReadSource, number: usize) {
        if number > 0 {
            self.metrics.count(CountedEvent::AccountsRead { source, number: number as u64 });
        }
    }

    /// Forgets an account.
    fn forget(&self, id: AccountId) {
        self.memory.forget(id);
    }

    /// Forgets all accounts.
    pub(crate) fn forget_all(&self) {
        self.memory.forget_all();
    }

    /// Hears of changes, whoever made them.
    pub(crate) fn hear(&self, events: &[LoggedEvent]) {
        for logged in events {
            match &logged.event {
                Some(event) if event.change.kind() == EventKind::Webhook => {}
                Some(event) => self.forget(event.account_id),
                // Of which account it tells cannot be read.
                None => self.forget_all(),
            }
        }
    }

    /// Hears that a look which began at `time` is over, and that all is heard of that was committed before it.
    pub(crate) fn note_complete_look(&self, time: Instant) {
        let since = time.saturating_duration_since(self.begin).as_nanos();
        let since = u64::try_from(since).unwrap_or(u64::MAX - 1);
        self.look.store(since + 1, Ordering::Release);
    }

    /// Whether somebody has read since the last call.
    pub(crate) fn was_read(&self) -> bool {
        self.was_read.swap(false, Ordering::Relaxed)
    }

    /// Returns once somebody reads after the last call of [`was_read`](Self::was_read).
    pub(crate) async fn read(&self) {
        self.first_read.notified().await;
    }

    fn note_read(&self) {
        // Mostly it is noted, and a look at it costs nobody else anything.
        if !self.was_read.load(Ordering::Relaxed) && !self.was_read.swap(true, Ordering::Relaxed) {
            self.first_read.notify_one();
        }
    }

    fn last_look(&self) -> Option<Instant> {
        let since = self.look.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.begin + Duration::from_nanos(since))
    }

    /// Forgets these accounts once it is dropped.
    fn forgetting(&self, accounts: impl IntoIterator<Item = AccountId>) -> Forgetting<'_> {
        Forgetting::of(self, accounts)
    }
}
