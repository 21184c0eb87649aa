//! Holds: consumers that the streams of this process hold, kept for all of them at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ig_domain::ports::{
    CONSUMER_LEASE, ConsumerKey, Consumers, HeldConsumer, StoreError, Taken, Timer,
};
use ig_domain::{EventPosition, LeaseHolder, LineLimit};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

use super::{WatchPorts, is_worth_a_line};

/// Interval between two extensions of the leases.
const KEEP_INTERVAL: Duration = Duration::from_secs(3);

/// Time after which a lease that could not be extended counts as lost, while the store still has it for a moment.
const MAX_UNKEPT_TIME: Duration = CONSUMER_LEASE.saturating_sub(Duration::from_secs(1));

/// The consumers that the streams of one process hold.
pub struct ConsumerHolds {
    consumers: Arc<dyn Consumers>,
    timer: Arc<dyn Timer>,
    state: Mutex<State>,
    ended: Notify,
    released: Notify,
}

#[derive(Default)]
struct State {
    /// Number of holds that live, whether they hold something or ask for it.
    live: usize,
    held: HashMap<LeaseHolder, Kept>,
    /// Holders whose holds have ended, and whose leases may not have.
    to_release: Vec<LeaseHolder>,
}

/// A lease that is kept.
struct Kept {
    /// Moment before the last write that began the lease's lifetime, by the timer.
    begin: Instant,
    advance: Option<(i64, EventPosition)>,
    lost: CancellationToken,
}

/// The hold of one stream on its consumer. Dropping it gives the consumer back.
pub(super) struct Hold {
    holds: Arc<ConsumerHolds>,
    key: ConsumerKey,
    holder: LeaseHolder,
    is_asked: AtomicBool,
    /// Cancelled once the lease is another's.
    pub(super) lost: CancellationToken,
}

impl ConsumerHolds {
    pub(super) fn new(ports: &WatchPorts) -> Self {
        Self {
            consumers: ports.consumers.clone(),
            timer: ports.timer.clone(),
            state: Mutex::default(),
            ended: Notify::new(),
            released: Notify::new(),
        }
    }

    /// Keeps leases, and gives back those whose streams have ended, until `stop` is cancelled and no stream is left.
    pub async fn run(&self, stop: &CancellationToken) {
        let lines = LineLimit::new(Duration::from_mins(1));
        let mut keep_time = self.timer.now() + KEEP_INTERVAL;
        while !(stop.is_cancelled() && self.lock().live == 0) {
            tokio::select! {
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                () = self.ended.notified() => {}
                () = self.timer.sleep(keep_time.duration_since(self.timer.now())) => {}
            }
            let is_time = self.timer.now() >= keep_time;
            let done = if is_time { self.keep().await } else { self.release().await };
            if is_time {
                keep_time = self.timer.now() + KEEP_INTERVAL;
            }
            if let Err(error) = done
                && is_worth_a_line(&error)
                && let Some(left_out) = lines.admit((), self.timer.now())
            {
                tracing::warn!(%error, left_out, "consumers cannot be kept");
            }
        }
        // A lease that cannot be given back ends by itself.
        let _ = self.release().await;
    }

    /// Gives back the leases whose streams have ended, and extends all others.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; the next call does what is left.
    pub async fn keep(&self) -> Result<(), StoreError> {
        self.release().await?;
        let held: Vec<_> = {
            let state = self.lock();
            let held = |(&holder, kept): (_, &Kept)| HeldConsumer { holder, advance: kept.advance };
            state.held.iter().map(held).collect()
        };
        if held.is_empty() {
            return Ok(());
        }
        let begin = self.timer.now();
        let kept = self.consumers.keep(&held).await?;
        let mut state = self.lock();
        for HeldConsumer { holder, .. } in &held {
            let Some(lease) = state.held.get_mut(holder) else { continue };
            if kept.contains(holder) {
                lease.begin = begin;
            } else {
                lease.lost.cancel();
                state.held.remove(holder);
            }
        }
        Ok(())
    }

    async fn release(&self) -> Result<(), StoreError> {
        let ended = self.lock().to_release.clone();
        if !ended.is_empty() {
            self.consumers.release(&ended).await?;
            self.lock().to_release.retain(|holder| !ended.contains(holder));
            self.released.notify_waiters();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// A hold that has nothing yet.
    pub(super) fn new(holds: &Arc<ConsumerHolds>, key: ConsumerKey, holder: LeaseHolder) -> Self {
        holds.lock().live += 1;
        let (is_asked, lost) = (AtomicBool::default(), CancellationToken::new());
        Self { holds: Arc::clone(holds), key, holder, is_asked, lost }
    }

    /// Takes the consumer if nobody has it; with `from` its committed cursor moves there. May be called again after a
    /// call that failed or was dropped.
    pub(super) async fn take(&self, from: Option<&EventPosition>) -> Result<Taken, StoreError> {
        let begin = self.holds.timer.now();
        self.is_asked.store(true, Ordering::Relaxed);
        let taken = self.holds.consumers.take(&self.key, self.holder, from).await?;
        if let Taken::Held(_) = taken {
            let kept = Kept { begin, advance: None, lost: self.lost.clone() };
            self.holds.lock().held.insert(self.holder, kept);
        } else {
            self.is_asked.store(false, Ordering::Relaxed);
        }
        Ok(taken)
    }

    /// Lets the committed cursor move to `position` once event `sent` is committed, behind which nothing was sent.
    pub(super) fn advance(&self, sent: i64, position: EventPosition) {
        if let Some(kept) = self.holds.lock().held.get_mut(&self.holder) {
            kept.advance = Some((sent, position));
        }
    }

    /// Moment from which the lease counts as lost unless it is extended before; `None` where it is not held.
    pub(super) fn end(&self) -> Option<Instant> {
        self.holds.lock().held.get(&self.holder).map(|kept| kept.begin + MAX_UNKEPT_TIME)
    }

    /// Returns once a stream of this process has given back its consumer after this call.
    pub(super) fn released(&self) -> Notified<'_> {
        self.holds.released.notified()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.holds.lock();
        state.live -= 1;
        state.held.remove(&self.holder);
        if *self.is_asked.get_mut() {
            state.to_release.push(self.holder);
        }
        drop(state);
        self.holds.ended.notify_one();
    }
}
