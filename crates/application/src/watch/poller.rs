//! Poller: gives numbers to events, and brings them into the feed.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ig_domain::ports::{MAX_NUMBERED_EVENTS, StoreError};
use ig_domain::{AccountId, EventPosition, LineLimit, LoggedEvent};
use tokio_util::sync::CancellationToken;

use super::feed::{EventFeed, Look, MAX_ACCOUNT_AGE, ReadAccount};
use super::message::{account_ids, read_accounts};
use super::{Watch, WatchPorts, is_worth_a_line};
use crate::ReadCache;

/// Interval between the beginnings of two looks while there are streams, or accounts are read from memory. It stays below
/// [`MAX_CAUGHT_UP_AGE`](super::feed::MAX_CAUGHT_UP_AGE).
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Interval between two looks while there is no stream and nobody reads: nobody waits.
const IDLE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Minimum interval between two looks, for writes that come one after the other.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Interval after a look that left events behind: there were too many, or another process gives them numbers.
const INCOMPLETE_POLL_INTERVAL: Duration = Duration::from_millis(15);

/// Maximum number of events that one look brings.
const MAX_POLLED_EVENTS: u64 = 1000;

/// Fills the feed of one process, and tells what changed to its accounts in memory.
pub struct EventPoller {
    ports: WatchPorts,
    feed: Arc<EventFeed>,
    /// `None` where no accounts are kept in memory.
    cache: Option<Arc<ReadCache>>,
    stop: CancellationToken,
}

impl EventPoller {
    /// The poller for the streams of `watch` and for `cache`, where there is one. There must be one poller.
    #[must_use]
    pub fn new(watch: &Watch, cache: Option<Arc<ReadCache>>) -> Self {
        let Watch { ports, feed, stop, .. } = watch.clone();
        Self { ports, feed, cache, stop }
    }

    /// Looks again and again, until it is stopped.
    pub async fn run(&self) {
        let work = async {
            let lines = LineLimit::new(Duration::from_mins(1));
            loop {
                let begin = self.ports.timer.now();
                let polled = self.poll().await;
                if let Err(error) = &polled
                    && is_worth_a_line(error)
                    && let Some(left_out) = lines.admit((), self.ports.timer.now())
                {
                    tracing::warn!(%error, left_out, "the poller cannot look for events");
                }
                self.wait(begin, polled.unwrap_or(true)).await;
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = work => {}
        }
    }

    /// Returns when it is time for another look, after one from `begin` on that was complete or not.
    async fn wait(&self, begin: Instant, was_complete: bool) {
        let timer = &self.ports.timer;
        if !was_complete {
            return timer.sleep(INCOMPLETE_POLL_INTERVAL).await;
        }
        timer.sleep(MIN_POLL_INTERVAL).await;
        if self.feed.has_streams() {
            let elapsed = timer.now().saturating_duration_since(begin);
            tokio::select! {
                () = timer.sleep(POLL_INTERVAL.saturating_sub(elapsed)) => {}
                () = self.ports.log.written() => {}
            }
            return;
        }
        let was_read = self.cache.as_ref().is_some_and(|cache| cache.was_read());
        let interval = if was_read { POLL_INTERVAL } else { IDLE_POLL_INTERVAL };
        tokio::select! {
            () = timer.sleep(interval) => {}
            () = self.feed.opened() => {}
            () = self.read(), if !was_read => {}
        }
    }

    /// Returns once somebody reads accounts while they are kept in memory.
    async fn read(&self) {
        match &self.cache {
            Some(cache) => cache.read().await,
            None => pending().await,
        }
    }

    /// Looks once, and brings at most one page into the feed. Returns whether all events that were committed before are
    /// in it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn poll(&self) -> Result<bool, StoreError> {
        let time = self.ports.timer.now();
        let head = self.feed.head();
        let state = self.ports.log.look(head.as_ref()).await?;
        let Some(head) = head.filter(|head| state.holds && head.log == state.head.log) else {
            self.begin_anew(state.head, time);
            return Ok(false);
        };
        // A full batch or page may leave some; zero also means that another process numbers them.
        let numbered = if state.waits { self.ports.log.number_waiting().await? } else { 0 };
        let mut is_complete = !state.waits || (1..MAX_NUMBERED_EVENTS).contains(&numbered);
        if state.waits || state.head.number > head.number {
            let events = self.ports.log.page(head.number, MAX_POLLED_EVENTS).await?;
            if events.first().is_some_and(|first| first.number != head.number + 1) {
                // Purged since the look.
                self.begin_anew(state.head, time);
                return Ok(false);
            }
            if let Some(cache) = &self.cache {
                cache.hear(&events);
            }
            is_complete &= (events.len() as u64) < MAX_POLLED_EVENTS;
            let accounts = self.read_accounts(&events).await?;
            self.feed.extend(events, accounts);
        }
        let oldest = self.ports.timer.now().checked_sub(MAX_ACCOUNT_AGE);
        self.feed.publish(Look { time, is_complete }, oldest);
        if let Some(cache) = self.cache.as_ref().filter(|_| is_complete) {
            cache.note_complete_look(time);
        }
        Ok(is_complete)
    }

    /// Begins anew behind `head`: what happened before is not known.
    fn begin_anew(&self, head: EventPosition, time: Instant) {
        if let Some(cache) = &self.cache {
            cache.forget_all();
        }
        self.feed.begin_anew(head, time);
    }

    /// The accounts that `events` are about, for the streams; none where there is no stream.
    async fn read_accounts(
        &self,
        events: &[LoggedEvent],
    ) -> Result<Vec<(AccountId, ReadAccount)>, StoreError> {
        let Some(last) = events.last().filter(|_| self.feed.has_streams()) else {
            return Ok(Vec::new());
        };
        let time = self.ports.timer.now();
        let ids: Vec<_> = account_ids(events).into_iter().collect();
        let accounts = read_accounts(&ids, &self.ports, &self.feed).await?;
        let read = |account| ReadAccount { account, as_of: last.number, time };
        Ok(ids.into_iter().zip(accounts.into_iter().map(read)).collect())
    }
}
