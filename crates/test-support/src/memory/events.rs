//! The log of events.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    EventLog, EventSurvey, LogCount, LogState, MAX_NUMBERED_EVENTS, Restoration, StoreError,
};
use ig_domain::{
    AccountEvent, AccountId, EventChange, EventId, EventPosition, LogId, LoggedEvent,
    ReauthorizationReason,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::webhooks::{Payloads, update_key};
use super::{Guard, MemoryStore, Rows};
use crate::builders::START;

/// Maximum number of accounts that are made due at once.
const MAX_DUE_ACCOUNTS: usize = 500;

/// The app's log of events as it is stored.
pub(super) struct EventRows {
    log: LogState,
    is_made: bool,
    purged_time: Option<OffsetDateTime>,
    /// Events without a number, in the order in which they were written.
    waiting: VecDeque<LoggedEvent>,
    pub(super) numbered: VecDeque<LoggedEvent>,
    pub(super) payloads: Payloads,
}

impl Default for EventRows {
    fn default() -> Self {
        Self {
            log: LogState::of_new_log(LogId::from_uuid(Uuid::nil())),
            is_made: false,
            purged_time: None,
            waiting: VecDeque::new(),
            numbered: VecDeque::new(),
            payloads: Payloads::new(),
        }
    }
}

impl EventRows {
    /// Whether the log holds `at`: no event behind it was purged.
    fn holds(&self, at: &EventPosition) -> bool {
        let is_known = |event: &LoggedEvent| (event.number, event.id) == (at.number, at.event);
        *at == self.log.purged
            || (at.log == self.log.head.log && self.numbered.iter().any(is_known))
    }

    /// The first event behind the one of this number.
    pub(super) fn after(&self, number: i64) -> Option<&LoggedEvent> {
        self.numbered.iter().find(|event| event.number > number)
    }

    pub(super) fn state(&self) -> LogState {
        self.log
    }

    /// Leaves no more of an account's events than their kinds, and of its updates than their ids. Returns how many it
    /// changed, at most `limit`.
    pub(super) fn erase(&mut self, id: AccountId, limit: usize) -> u64 {
        let Self { numbered, waiting, payloads, .. } = self;
        let of_account = |logged: &&mut LoggedEvent| {
            let event = logged.event.as_ref().filter(|event| event.account_id == id);
            event.is_some_and(|event| bare(&event.change).as_ref() != Some(&event.change))
        };
        let said = numbered.iter_mut().chain(waiting).filter(of_account).take(limit);
        let mut erased = 0;
        for logged in said {
            if let Some(update) = update_key(logged) {
                payloads.insert(update, None);
            }
            logged.event = logged.event.take().and_then(|event| {
                let change = bare(&event.change)?;
                Some(AccountEvent { change, ..event })
            });
            erased += 1;
        }
        erased
    }

    fn position(&self, event: &LoggedEvent) -> EventPosition {
        EventPosition { log: self.log.head.log, number: event.number, event: event.id }
    }

    fn purge(&mut self, event: &LoggedEvent) {
        self.log.purged = self.position(event);
        self.purged_time = self.purged_time.max(Some(event.time));
        if let Some(update) = update_key(event) {
            self.payloads.remove(&update);
        }
    }
}

/// The present moment of the store's own clock.
pub(super) fn moment(lease_time: Duration) -> OffsetDateTime {
    START + lease_time
}

impl MemoryStore {
    /// Writes the events of a change.
    pub(super) fn tell(
        &self,
        rows: &mut EventRows,
        events: impl IntoIterator<Item = AccountEvent>,
        now: Duration,
    ) {
        let times = match self.missing {
            Some(Guard::EventWrite) => 0,
            Some(Guard::EventOnce) => 2,
            _ => 1,
        };
        for event in events.into_iter().flat_map(|event| std::iter::repeat_n(event, times)) {
            let id = EventId::from_uuid(self.draw_uuid());
            rows.waiting.push_back(LoggedEvent {
                number: 0,
                id,
                time: moment(now),
                event: Some(event),
            });
            self.written.notify_one();
        }
    }

    /// All events that are kept, in the order in which they were written; the number is 0 where one waits for it.
    #[must_use]
    pub fn events(&self) -> Vec<LoggedEvent> {
        self.read(|rows| rows.events.numbered.iter().chain(&rows.events.waiting).cloned().collect())
    }

    /// An id that no other event or log has.
    fn draw_uuid(&self) -> Uuid {
        let drawn = self.drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Uuid::from_u128(u128::from(drawn) + 1)
    }

    fn with_log<T>(
        &self,
        operation: impl FnOnce(&mut Rows, Duration) -> T,
    ) -> Result<T, StoreError> {
        self.transact(|rows, now| {
            if !rows.events.is_made {
                let log = LogId::from_uuid(self.draw_uuid());
                (rows.events.log, rows.events.is_made) = (LogState::of_new_log(log), true);
            }
            Ok(operation(rows, now))
        })
    }
}

#[async_trait]
impl EventLog for MemoryStore {
    async fn look(&self, at: Option<&EventPosition>) -> Result<LogState, StoreError> {
        let checked = !self.lacks(Guard::CursorCheck);
        self.with_log(|rows, _| {
            let events = &rows.events;
            let holds = !checked || at.is_none_or(|at| events.holds(at));
            LogState { waits: !events.waiting.is_empty(), holds, ..events.log }
        })
    }

    async fn number_waiting(&self) -> Result<u64, StoreError> {
        self.with_log(|rows, _| {
            let events = &mut rows.events;
            // Without its guard the store passes over the event that waits the longest.
            let first = usize::from(self.lacks(Guard::EventNumber) && events.waiting.len() > 1);
            let limit = usize::try_from(MAX_NUMBERED_EVENTS).unwrap_or(usize::MAX);
            let end = events.waiting.len().min(limit);
            for event in events.waiting.drain(first..end) {
                let head = &mut events.log.head;
                (head.number, head.event) = (head.number + 1, event.id);
                events.numbered.push_back(LoggedEvent { number: head.number, ..event });
            }
            (end - first) as u64
        })
    }

    async fn page(&self, after: i64, limit: u64) -> Result<Vec<LoggedEvent>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.transact(|rows, _| {
            let behind = rows.events.numbered.iter().filter(|event| event.number > after);
            Ok(behind.take(limit).cloned().collect())
        })
    }

    async fn since(
        &self,
        time: OffsetDateTime,
        window: Duration,
    ) -> Result<Option<EventPosition>, StoreError> {
        self.with_log(|rows, now| {
            let events = &rows.events;
            let is_purged = events.purged_time.is_some_and(|purged| time <= purged);
            if is_purged || time < moment(now) - window {
                return None;
            }
            let earlier = events.numbered.iter().take_while(|event| event.time < time).last();
            Some(earlier.map_or(events.log.purged, |event| events.position(event)))
        })
    }

    async fn written(&self) {
        self.written.notified().await;
    }

    async fn purge(&self, window: Duration, limit: u64) -> Result<u64, StoreError> {
        self.with_log(|rows, now| {
            rows.forget_consumers(window, now);
            let events = &mut rows.events;
            let old = |event: &&LoggedEvent| event.time <= moment(now) - window;
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let old = events.numbered.iter().take_while(old).take(limit).count();
            let gone: Vec<_> = events.numbered.drain(..old).collect();
            for event in &gone {
                events.purge(event);
            }
            old as u64
        })
    }
}

#[async_trait]
impl Restoration for MemoryStore {
    async fn begin_new_log(&self) -> Result<EventPosition, StoreError> {
        let log = LogId::from_uuid(self.draw_uuid());
        self.with_log(|rows, now| {
            let events = &mut rows.events;
            let beginning = EventPosition { log, ..events.log.head };
            (events.log.head, events.log.purged) = (beginning, beginning);
            events.purged_time = Some(moment(now));
            events.numbered.clear();
            beginning
        })
    }

    async fn make_due(
        &self,
        after: Option<AccountId>,
        now: OffsetDateTime,
        reading_interval: Duration,
    ) -> Result<Option<(AccountId, u64)>, StoreError> {
        self.transact(|rows, _| {
            let behind = rows.accounts.values_mut().map(|(account, _)| account);
            let behind = behind.filter(|account| after.is_none_or(|after| account.id > after));
            let mut made = None;
            for account in behind.take(MAX_DUE_ACCOUNTS) {
                if account.refused == Some(ReauthorizationReason::Deauthorized) {
                    made = Some((account.id, made.map_or(0, |(_, number)| number)));
                    continue;
                }
                account.profile_time = account.profile_time.min(now - reading_interval);
                (account.failures.count, account.failures.retry_time) = (0, None);
                rows.put_off.insert(account.id, now);
                made = Some((account.id, made.map_or(1, |(_, number)| number + 1)));
            }
            Ok(made)
        })
    }
}

#[async_trait]
impl EventSurvey for MemoryStore {
    async fn count_log(&self) -> Result<LogCount, StoreError> {
        self.with_log(|rows, now| {
            let EventRows { waiting, numbered, .. } = &rows.events;
            let age = waiting.front().map(|event| moment(now) - event.time);
            LogCount {
                kept: numbered.len() as u64,
                unnumbered: waiting.len() as u64,
                unnumbered_age: age.and_then(|age| age.try_into().ok()).unwrap_or_default(),
                oldest_time: numbered.front().map(|event| event.time),
            }
        })
    }
}

/// A change that says no more than its kind; `None` of an update, which is passed over.
fn bare(change: &EventChange) -> Option<EventChange> {
    EventChange::from_names(change.kind().as_str(), None, None)
}
