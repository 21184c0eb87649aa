//! Consumers of the log of events.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    CONSUMER_LEASE, ConsumerKey, ConsumerState, Consumers, HeldConsumer, MAX_CONSUMERS, StoreError,
    Taken,
};
use ig_domain::{EventPosition, LeaseHolder};

use super::events::moment;
use super::{Guard, Lease, MemoryStore, Rows, is_held};

/// A consumer as it is stored.
pub(super) struct ConsumerRow {
    cursor: Option<EventPosition>,
    open_time: Duration,
    pub(super) lease: Option<Lease>,
}

impl Rows {
    fn may_make_consumer(&self, key: &ConsumerKey) -> bool {
        let others = self.consumers.keys().filter(|other| other.caller == key.caller);
        (others.count() as u64) < MAX_CONSUMERS
    }

    /// Forgets the cursors, and later the names, of consumers that nobody has opened within `window`.
    pub(super) fn forget_consumers(&mut self, window: Duration, now: Duration) {
        let unopened_for = |row: &ConsumerRow, span: Duration| {
            !is_held(row.lease, CONSUMER_LEASE, now) && row.open_time + span <= now
        };
        self.consumers.retain(|_, row| !unopened_for(row, window * 2));
        for row in self.consumers.values_mut().filter(|row| unopened_for(row, window)) {
            row.cursor = None;
        }
    }

    fn consumer_state(
        &self,
        key: &ConsumerKey,
        row: &ConsumerRow,
        window: Duration,
        now: Duration,
    ) -> ConsumerState {
        let log = self.events.state();
        let committed = row.cursor.filter(|cursor| cursor.log == log.head.log);
        let cursor = committed.map_or(log.purged.number, |cursor| cursor.number);
        let is_expired = cursor < log.purged.number;
        let cursor = cursor.max(log.purged.number);
        let age = self.events.after(cursor).map(|event| moment(now) - event.time);
        let lag: Duration = age.and_then(|age| age.try_into().ok()).unwrap_or_default();
        let is_held = is_held(row.lease, CONSUMER_LEASE, now);
        let unopened = if is_held { Duration::ZERO } else { now.saturating_sub(row.open_time) };
        ConsumerState {
            key: key.clone(),
            committed,
            is_held,
            lag_events: u64::try_from(log.head.number - cursor).unwrap_or_default(),
            lag,
            window_left: if committed.is_none() || is_expired {
                Duration::ZERO
            } else {
                window.saturating_sub(lag.max(unopened))
            },
        }
    }
}

#[async_trait]
impl Consumers for MemoryStore {
    async fn take(
        &self,
        key: &ConsumerKey,
        holder: LeaseHolder,
        from: Option<&EventPosition>,
    ) -> Result<Taken, StoreError> {
        let guarded = !self.lacks(Guard::ConsumerLease);
        self.transact(|rows, now| {
            let row = rows.consumers.get(key);
            let lease = row.and_then(|row| row.lease).filter(|lease| lease.holder != holder);
            if guarded && is_held(lease, CONSUMER_LEASE, now) {
                return Ok(Taken::Busy);
            }
            let committed = row.and_then(|row| row.cursor);
            let Some(cursor) = from.copied().or(committed) else { return Ok(Taken::NoCursor) };
            if row.is_none() && !rows.may_make_consumer(key) {
                return Ok(Taken::TooMany);
            }
            let lease = Some(Lease { holder, end: now + CONSUMER_LEASE });
            let row = ConsumerRow { cursor: Some(cursor), open_time: now, lease };
            rows.consumers.insert(key.clone(), row);
            Ok(Taken::Held(cursor))
        })
    }

    async fn keep(&self, held: &[HeldConsumer]) -> Result<Vec<LeaseHolder>, StoreError> {
        let guarded = !self.lacks(Guard::ConsumerAdvance);
        self.transact(|rows, now| {
            let mut kept = Vec::new();
            for HeldConsumer { holder, advance } in held {
                let is_theirs =
                    |row: &&mut ConsumerRow| row.lease.is_some_and(|lease| lease.holder == *holder);
                let Some(row) = rows.consumers.values_mut().find(is_theirs) else { continue };
                row.lease = Some(Lease { holder: *holder, end: now + CONSUMER_LEASE });
                row.open_time = now;
                kept.push(*holder);
                let Some((sent, to)) = advance else { continue };
                if let Some(cursor) = &mut row.cursor
                    && cursor.log == to.log
                    && (!guarded || cursor.number >= *sent)
                    && cursor.number < to.number
                {
                    *cursor = *to;
                }
            }
            Ok(kept)
        })
    }

    async fn release(&self, holders: &[LeaseHolder]) -> Result<(), StoreError> {
        self.transact(|rows, _| {
            for row in rows.consumers.values_mut() {
                row.lease = row.lease.filter(|lease| !holders.contains(&lease.holder));
            }
            Ok(())
        })
    }

    async fn commit(
        &self,
        key: &ConsumerKey,
        position: &EventPosition,
    ) -> Result<bool, StoreError> {
        self.transact(|rows, now| {
            if !rows.consumers.contains_key(key) && !rows.may_make_consumer(key) {
                return Ok(false);
            }
            let new = ConsumerRow { cursor: None, open_time: now, lease: None };
            let row = rows.consumers.entry(key.clone()).or_insert(new);
            row.open_time = now;
            let is_older = |cursor: EventPosition| {
                cursor.log == position.log && cursor.number >= position.number
            };
            if !row.cursor.is_some_and(is_older) {
                row.cursor = Some(*position);
            }
            Ok(true)
        })
    }

    async fn list(&self, window: Duration) -> Result<Vec<ConsumerState>, StoreError> {
        self.transact(|rows, now| {
            let state = |(key, row)| rows.consumer_state(key, row, window, now);
            Ok(rows.consumers.iter().map(state).collect())
        })
    }

    async fn remove(&self, key: &ConsumerKey) -> Result<bool, StoreError> {
        self.transact(|rows, _| Ok(rows.consumers.remove(key).is_some()))
    }
}
