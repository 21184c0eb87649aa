//! Stream: follows the log for one caller.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ig_domain::ports::{StoreError, Taken};
use ig_domain::{EventPosition, LoggedEvent};
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

use super::feed::{FeedPage, OpenStream};
use super::holds::Hold;
use super::message::{accounts_of, shown_events};
use super::payloads::{any_update, read_payloads};
use super::position::resolve;
use super::{
    RightsLost, SharedMessage, Watch, WatchCommand, WatchFrom, WatchMessage, WatchRights,
    WatchScope,
};

/// Interval between two judgements of the caller's rights.
const JUDGEMENT_INTERVAL: Duration = Duration::from_secs(5);

/// Interval after which a message without events follows another message. A proxy whose client was killed learns of it
/// from the first one, and may act at the second only: two of them pass within the time of a takeover, 15 seconds.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// Time for which the heartbeat of a stream that was caught up waits for a look of now. On a store that is not fast a
/// look comes a little later than [`MAX_CAUGHT_UP_AGE`](super::feed::MAX_CAUGHT_UP_AGE).
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);

/// Interval between two tries to take a consumer that another process holds.
const TAKE_INTERVAL: Duration = Duration::from_millis(500);

/// Maximum age of the last look at the store that succeeded.
const MAX_LOOK_AGE: Duration = Duration::from_secs(8);

/// Interval between two tries of a read that failed.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Maximum number of events of one message, which a stream holds while its client does not read.
const MAX_MESSAGE_EVENTS: usize = 50;

/// End of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEnd {
    /// The caller lost its rights.
    Rights(RightsLost),
    /// The next event is gone, or the log is another one.
    CursorExpired,
    /// The consumer was forgotten meanwhile, and the caller has as many others as it may have.
    TooManyConsumers,
    /// The store is away.
    StoreAway,
    /// The consumer may be another stream's by now.
    HoldLost,
    /// This process stops.
    Stopped {
        /// A last message, without events; `None` where it would tell nothing new.
        last: Option<WatchMessage>,
    },
}

/// A stream of messages about events.
pub struct WatchStream {
    watch: Watch,
    from: Option<WatchFrom>,
    rights: Box<dyn WatchRights>,
    judged: Mutex<(Arc<WatchScope>, Instant)>,
    hold: Option<Hold>,
    /// Cancelled once the log is another one.
    epoch: CancellationToken,
    open_time: Instant,
    /// `None` while another stream holds the consumer.
    place: Option<Place>,
    last_message: Option<LastMessage>,
    _open: OpenStream,
}

/// Place in the log.
#[derive(Clone, Copy)]
struct Place {
    /// Everything up to here was sent, or is not to be sent.
    position: EventPosition,
    /// Number of the last event that was sent; at the beginning that of the position.
    sent: i64,
}

#[derive(Clone, Copy)]
struct LastMessage {
    time: Instant,
    cursor: Option<EventPosition>,
    caught_up: bool,
}

/// Result of a try to open the stream.
pub(super) enum Opened {
    /// It begins behind this position.
    At(EventPosition),
    /// Another stream holds the consumer.
    Waits,
    /// An event behind its place is gone, or there is no such place.
    Expired,
    /// The caller has as many other consumers as it may have.
    TooManyConsumers,
}

/// One step of a stream. It is taken back by dropping it.
enum Step {
    /// A message is to be sent, and everything up to its cursor is done with it.
    Message(Arc<SharedMessage>),
    /// The stream holds its consumer, and begins behind this position.
    Opened(EventPosition),
    /// Events up to this position are not to be sent.
    Passed(EventPosition),
    /// Something may have happened.
    Woken,
    /// The stream ends.
    End(WatchEnd),
}

impl WatchStream {
    /// A stream that has not begun.
    pub(super) fn new(watch: &Watch, command: WatchCommand) -> Result<Self, RightsLost> {
        let WatchCommand { from, consumer, rights } = command;
        let now = watch.ports.timer.now();
        let hold = |key| Hold::new(&watch.holds, key, watch.ports.ids.lease_holder());
        Ok(Self {
            from,
            judged: Mutex::new((Arc::new(rights.judge()?), now)),
            rights,
            hold: consumer.map(hold),
            epoch: watch.feed.epoch(),
            open_time: now,
            place: None,
            last_message: None,
            _open: watch.feed.open(),
            watch: watch.clone(),
        })
    }

    /// The next message; waits for it. May be dropped and called again: a message that was not returned comes again.
    ///
    /// # Errors
    ///
    /// The end of the stream.
    pub async fn next(&mut self) -> Result<Arc<SharedMessage>, WatchEnd> {
        loop {
            let step = tokio::select! {
                biased;
                end = self.must_end() => Step::End(end),
                step = self.step() => step,
            };
            match step {
                Step::Message(message) => {
                    self.sent(&message);
                    return Ok(message);
                }
                Step::Opened(position) => self.follow(position),
                Step::Passed(position) => self.pass(position),
                Step::Woken => {}
                Step::End(WatchEnd::Stopped { .. }) => {
                    return Err(WatchEnd::Stopped { last: self.last_cursor() });
                }
                Step::End(end) => return Err(end),
            }
        }
    }

    /// Returns when the stream must end though nothing can be sent, for a caller that does not take its messages.
    pub async fn must_end(&self) -> WatchEnd {
        loop {
            if let Some(end) = self.end() {
                return end;
            }
            let now = self.watch.ports.timer.now();
            tokio::select! {
                biased;
                () = self.watch.stop.cancelled() => {}
                () = self.epoch.cancelled() => {}
                () = self.lost() => {}
                () = self.watch.ports.timer.sleep(self.check_time().duration_since(now)) => {}
            }
        }
    }

    /// The end of the stream, if it must end now.
    fn end(&self) -> Option<WatchEnd> {
        let now = self.watch.ports.timer.now();
        if self.watch.stop.is_cancelled() {
            return Some(WatchEnd::Stopped { last: None });
        }
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= judged.1 + JUDGEMENT_INTERVAL {
            match self.rights.judge() {
                Ok(scope) => *judged = (Arc::new(scope), now),
                Err(lost) => return Some(WatchEnd::Rights(lost)),
            }
        }
        let hold = self.hold.as_ref();
        let is_lost =
            |hold: &Hold| hold.lost.is_cancelled() || hold.end().is_some_and(|end| now >= end);
        if self.epoch.is_cancelled() {
            Some(WatchEnd::CursorExpired)
        } else if hold.is_some_and(is_lost) {
            Some(WatchEnd::HoldLost)
        } else if now >= self.look_time() + MAX_LOOK_AGE {
            Some(WatchEnd::StoreAway)
        } else {
            None
        }
    }

    /// The part of the log that the stream may show.
    fn scope(&self) -> Arc<WatchScope> {
        Arc::clone(&self.judged.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Moment of the next check of what may end the stream.
    fn check_time(&self) -> Instant {
        let judgement = self.judged.lock().unwrap_or_else(PoisonError::into_inner).1;
        let check = (judgement + JUDGEMENT_INTERVAL).min(self.look_time() + MAX_LOOK_AGE);
        let hold_end = self.hold.as_ref().and_then(Hold::end);
        hold_end.map_or(check, |end| end.min(check))
    }

    /// Moment of the last look at the store, by the poller or by this stream.
    fn look_time(&self) -> Instant {
        self.watch.feed.look_time().map_or(self.open_time, |time| time.max(self.open_time))
    }

    /// Returns once the consumer's lease is another's.
    async fn lost(&self) {
        match &self.hold {
            Some(hold) => hold.lost.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// The next step, tried again where the store failed, for as long as it may be away.
    async fn step(&self) -> Step {
        let timer = &self.watch.ports.timer;
        let begin = timer.now();
        loop {
            let done = match self.place {
                Some(place) => self.look_behind(place.position).await,
                None => self.wait_for_consumer().await,
            };
            match done {
                Ok(step) => return step,
                Err(error) if timer.now() >= begin + MAX_LOOK_AGE => {
                    tracing::debug!(%error, "a stream cannot read its events");
                    return Step::End(WatchEnd::StoreAway);
                }
                Err(_) => timer.sleep(RETRY_INTERVAL).await,
            }
        }
    }

    /// Looks for events behind `position`.
    async fn look_behind(&self, position: EventPosition) -> Result<Step, StoreError> {
        let changed = self.watch.feed.changed();
        if let Some(message) = self.shared(&position) {
            return Ok(Step::Message(message));
        }
        match self.watch.feed.after(&position, MAX_MESSAGE_EVENTS) {
            FeedPage::Events(page) => self.show(&page, position).await,
            FeedPage::Behind => {
                let limit = MAX_MESSAGE_EVENTS as u64;
                let page = self.watch.ports.log.page(position.number, limit).await?;
                let page: Vec<_> = page.into_iter().map(Arc::new).collect();
                let follows = |first: &Arc<LoggedEvent>| first.number == position.number + 1;
                if !page.first().is_some_and(follows) {
                    return Ok(Step::End(WatchEnd::CursorExpired));
                }
                self.show(&page, position).await
            }
            FeedPage::OtherLog if !self.watch.ports.log.look(Some(&position)).await?.holds => {
                Ok(Step::End(WatchEnd::CursorExpired))
            }
            // Of another log: the poller has not looked since that one began.
            FeedPage::Nothing | FeedPage::OtherLog => {
                let caught_up = self.is_caught_up(&position);
                let is_news = caught_up && self.last_message.is_some_and(|last| !last.caught_up);
                let rest = self.until_heartbeat(caught_up);
                if is_news || rest.is_zero() {
                    let heartbeat = WatchMessage::heartbeat(Some(position), caught_up);
                    return Ok(Step::Message(Arc::new(heartbeat.into())));
                }
                Ok(self.wait(changed, rest).await)
            }
        }
    }

    /// The message behind `after` that was made for another stream, if this one may send it.
    fn shared(&self, after: &EventPosition) -> Option<Arc<SharedMessage>> {
        let now = self.watch.ports.timer.now();
        let message = self.watch.feed.shared_message(after, &self.scope(), now)?;
        let caught_up = self.is_caught_up(message.cursor.as_ref()?);
        (message.caught_up == caught_up).then_some(message)
    }

    /// Shows a page of events, which follows `after`.
    async fn show(
        &self,
        page: &[Arc<LoggedEvent>],
        after: EventPosition,
    ) -> Result<Step, StoreError> {
        let (scope, time) = (self.scope(), self.watch.ports.timer.now());
        let (mut events, last) = shown_events(page, &scope);
        let Some(last) = last else { return Ok(Step::Woken) };
        let position = EventPosition { number: last.number, event: last.id, ..after };
        let Some(payloads) = read_payloads(&mut events, &self.watch.ports).await? else {
            return Ok(Step::End(WatchEnd::CursorExpired));
        };
        if events.is_empty() && !self.until_heartbeat(self.is_caught_up(&position)).is_zero() {
            return Ok(Step::Passed(position));
        }
        let accounts = accounts_of(&events, &scope, &self.watch.ports, &self.watch.feed).await?;
        let caught_up = self.is_caught_up(&position);
        // An update may be erased meanwhile.
        let is_shared = !events.is_empty() && !any_update(&events);
        let cursor = Some(position);
        let message = WatchMessage { events, accounts, payloads, cursor, caught_up };
        let message = Arc::new(SharedMessage::from(message));
        if is_shared {
            self.watch.feed.share(after, scope, Arc::clone(&message), time);
        }
        Ok(Step::Message(message))
    }

    /// Tries to take the consumer.
    async fn wait_for_consumer(&self) -> Result<Step, StoreError> {
        let released = self.hold.as_ref().map(Hold::released);
        Ok(match (self.open().await?, released) {
            (Opened::At(position), _) => Step::Opened(position),
            (Opened::Expired, _) => Step::End(WatchEnd::CursorExpired),
            (Opened::TooManyConsumers, _) => Step::End(WatchEnd::TooManyConsumers),
            (Opened::Waits, Some(released)) if !self.until_heartbeat(false).is_zero() => {
                self.wait(released, self.until_heartbeat(false).min(TAKE_INTERVAL)).await
            }
            (Opened::Waits, _) => {
                Step::Message(Arc::new(WatchMessage::heartbeat(None, false).into()))
            }
        })
    }

    /// Tries to open the stream where it is to begin.
    pub(super) async fn open(&self) -> Result<Opened, StoreError> {
        let from = match self.from {
            Some(from) => match resolve(from, &self.watch).await? {
                Some(position) => Some(position),
                None => return Ok(Opened::Expired),
            },
            None => None,
        };
        let committed = match &self.hold {
            None => return Ok(from.map_or(Opened::Expired, Opened::At)),
            Some(hold) => match hold.take(from.as_ref()).await? {
                // Where it was to begin was looked at before.
                Taken::Held(position) if from.is_some() => return Ok(Opened::At(position)),
                Taken::Held(position) => position,
                Taken::Busy => return Ok(Opened::Waits),
                Taken::NoCursor => return Ok(Opened::Expired),
                Taken::TooMany => return Ok(Opened::TooManyConsumers),
            },
        };
        let holds = self.watch.ports.log.look(Some(&committed)).await?.holds;
        Ok(if holds { Opened::At(committed) } else { Opened::Expired })
    }

    /// Begins behind `position`.
    pub(super) fn follow(&mut self, position: EventPosition) {
        self.epoch = self.watch.feed.epoch_of(position.log);
        self.place = Some(Place { position, sent: position.number });
        self.pass(position);
    }

    /// Returns at a change, or after `span`.
    async fn wait(&self, change: Notified<'_>, span: Duration) -> Step {
        tokio::select! {
            biased;
            () = change => {}
            () = self.watch.ports.timer.sleep(span) => {}
        }
        Step::Woken
    }

    /// Moves the place on, behind events that are not to be sent or were.
    fn pass(&mut self, position: EventPosition) {
        let Some(place) = &mut self.place else { return };
        place.position = position;
        if let Some(hold) = &self.hold {
            hold.advance(place.sent, position);
        }
    }

    fn sent(&mut self, message: &WatchMessage) {
        let WatchMessage { events, cursor, caught_up, .. } = message;
        let time = self.watch.ports.timer.now();
        self.last_message = Some(LastMessage { time, cursor: *cursor, caught_up: *caught_up });
        if let (Some(place), Some(last)) = (&mut self.place, events.last()) {
            place.sent = last.number;
        }
        if let Some(cursor) = cursor {
            self.pass(*cursor);
        }
    }

    /// A message that tells the cursor; `None` where the last message told it.
    fn last_cursor(&self) -> Option<WatchMessage> {
        let cursor = Some(self.place?.position);
        let is_told = self.last_message.is_some_and(|last| last.cursor == cursor);
        (!is_told).then(|| WatchMessage::heartbeat(cursor, false))
    }

    /// What was committed before the stream was opened is sent first: an older look does not count.
    fn is_caught_up(&self, position: &EventPosition) -> bool {
        let now = self.watch.ports.timer.now();
        self.watch.feed.is_caught_up(position, self.open_time, now)
    }

    /// Time until a message is due though it may tell nothing: the first one comes at once. One that would say of a
    /// stream that it is no longer caught up waits for a look that may say otherwise.
    fn until_heartbeat(&self, caught_up: bool) -> Duration {
        let Some(last) = self.last_message else { return Duration::ZERO };
        let is_doubtful = last.caught_up && !caught_up;
        let due = last.time + HEARTBEAT_INTERVAL;
        let due = if is_doubtful { due + LOOK_TIMEOUT } else { due };
        due.duration_since(self.watch.ports.timer.now())
    }
}
