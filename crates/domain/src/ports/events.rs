//! The log of events, and its consumers.
//!
//! A store keeps one log for each app. Each change of an account writes its event in the change's own transaction. The
//! event gets its number after the commit: so numbers have no gap, and whoever has read up to one has missed nothing
//! below it. Time is the store's own clock.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::StoreError;
use crate::{
    AccountId, CallerName, ConsumerName, EventId, EventPosition, LeaseHolder, LogId, LoggedEvent,
};

/// Maximum number of events that get their number at once.
pub const MAX_NUMBERED_EVENTS: u64 = 1000;

/// State of the log at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogState {
    /// Position behind the newest event that has a number.
    pub head: EventPosition,
    /// Position before the oldest event that is kept: that of the last one that was purged.
    pub purged: EventPosition,
    /// Whether committed events wait for their number.
    pub waits: bool,
    /// Whether the position that was asked for is one of this log, and no event behind it was purged. `true` where none
    /// was asked for.
    pub holds: bool,
}

impl LogState {
    /// The state of a log in which no event has a number yet.
    #[must_use]
    pub fn of_new_log(log: LogId) -> Self {
        let beginning = EventPosition { log, number: 0, event: EventId::NONE };
        Self { head: beginning, purged: beginning, waits: false, holds: true }
    }
}

/// The log of events.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// One look at the log, and at whether it holds the position `at`. Makes the log where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn look(&self, at: Option<&EventPosition>) -> Result<LogState, StoreError>;

    /// Gives numbers to at most [`MAX_NUMBERED_EVENTS`] committed events, in the order in which they were written.
    /// Returns how many; 0 also while another process does it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn number_waiting(&self) -> Result<u64, StoreError>;

    /// At most `limit` events with a number above `after`, in the order of their numbers. They begin with `after + 1`
    /// unless that one was purged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn page(&self, after: i64, limit: u64) -> Result<Vec<LoggedEvent>, StoreError>;

    /// A position before the first event at or after `time`, the head where there is none. `None` where such an event
    /// may have been purged, or `time` is before `window`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn since(
        &self,
        time: OffsetDateTime,
        window: Duration,
    ) -> Result<Option<EventPosition>, StoreError>;

    /// Returns once this process has committed an event since the last return, for one that waits.
    async fn written(&self);

    /// Deletes at most `limit` events that are older than `window`, the oldest first, and takes from consumers that
    /// nobody has opened within `window` their cursor, and within twice of it their name. Returns the number of events;
    /// 0 also while another process does it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn purge(&self, window: Duration, limit: u64) -> Result<u64, StoreError>;
}

/// Lifetime of a consumer's lease from its taking and each extension. Ours: a consumer whose holder has died is to be
/// free within 15 seconds.
pub const CONSUMER_LEASE: Duration = Duration::from_secs(10);

/// Maximum number of consumers of one caller. Two that are made at the same moment may be one more.
pub const MAX_CONSUMERS: u64 = 32;

/// Key of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerKey {
    /// Caller that it belongs to.
    pub caller: CallerName,
    /// Its name.
    pub name: ConsumerName,
}

/// Result of the try to take a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The consumer is held, with this committed cursor, which the log may no longer hold.
    Held(EventPosition),
    /// Another holds it.
    Busy,
    /// It has no committed cursor, or it is not there.
    NoCursor,
    /// The caller has [`MAX_CONSUMERS`] others.
    TooMany,
}

/// A consumer that a stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldConsumer {
    /// The holder.
    pub holder: LeaseHolder,
    /// The number of the last event that was sent, and the position up to which nothing else is to be sent. The
    /// committed cursor moves there if it has reached that event.
    pub advance: Option<(i64, EventPosition)>,
}

/// State of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerState {
    /// The consumer.
    pub key: ConsumerKey,
    /// The committed cursor; `None` where there is none, or none of this log.
    pub committed: Option<EventPosition>,
    /// Whether a stream holds it.
    pub is_held: bool,
    /// Number of events behind the cursor, of all kinds and owners; of a consumer without a cursor all that are kept.
    pub lag_events: u64,
    /// Age of the first event behind the cursor; zero where there is none.
    pub lag: Duration,
    /// Time until the cursor is lost: when the first event behind it leaves the window, or when nobody has opened the
    /// consumer for a window. Zero where it is lost.
    pub window_left: Duration,
}

/// Stores consumers: how far each has committed, and the lease that gives it to one stream at a time.
#[async_trait]
pub trait Consumers: Send + Sync {
    /// Takes the lease for `holder` if nobody has it. With `from` the committed cursor moves there, backwards too, and
    /// the consumer is made where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn take(
        &self,
        key: &ConsumerKey,
        holder: LeaseHolder,
        from: Option<&EventPosition>,
    ) -> Result<Taken, StoreError>;

    /// Extends the leases that their holders have, and moves the committed cursors on, all in one transaction. Returns
    /// the holders that have theirs.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn keep(&self, held: &[HeldConsumer]) -> Result<Vec<LeaseHolder>, StoreError>;

    /// Ends the leases that these holders have.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn release(&self, holders: &[LeaseHolder]) -> Result<(), StoreError>;

    /// Commits all up to `position`, and makes the consumer where there is none. An older position than the committed
    /// one of the same log changes nothing, and counts as opening. `false`: the caller has [`MAX_CONSUMERS`] others.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn commit(&self, key: &ConsumerKey, position: &EventPosition)
    -> Result<bool, StoreError>;

    /// All consumers of the app by caller and name, while events are kept for `window`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn list(&self, window: Duration) -> Result<Vec<ConsumerState>, StoreError>;

    /// Forgets a consumer, whoever holds it. `false` where there was none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn remove(&self, key: &ConsumerKey) -> Result<bool, StoreError>;
}

/// Makes a restored database one from which nobody goes on in silence.
#[async_trait]
pub trait Restoration: Send + Sync {
    /// Begins a new log, in which no event of the old one is: every position of the old one is gone. Returns its
    /// beginning.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn begin_new_log(&self) -> Result<EventPosition, StoreError>;

    /// Makes accounts with an id above `after`, a few hundred of them, due at `now`, also for their reading, which
    /// comes once in `reading_interval`. Returns the last of them and their number; `None` where there was none. No
    /// account's revision moves.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn make_due(
        &self,
        after: Option<AccountId>,
        now: OffsetDateTime,
        reading_interval: Duration,
    ) -> Result<Option<(AccountId, u64)>, StoreError>;
}

/// Numbers of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCount {
    /// Events that are kept and have a number.
    pub kept: u64,
    /// Events that wait for their number.
    pub unnumbered: u64,
    /// Age of the oldest event that waits for its number; zero where none does.
    pub unnumbered_age: Duration,
    /// Moment of the oldest event that is kept and has a number; `None` where there is none.
    pub oldest_time: Option<OffsetDateTime>,
}

/// Counts the log.
#[async_trait]
pub trait EventSurvey: Send + Sync {
    /// The numbers of the log as they are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn count_log(&self) -> Result<LogCount, StoreError>;
}
