//! Places of the visits that are under way.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Count of the visits that are under way. Clones share it.
///
/// A visit takes a place among the calls to Instagram until it has its answers. While its result is stored, another one
/// makes its calls: as many results as calls may wait, so that a slow store slows the visits down. While as many calls
/// are allowed as there may be, half as many visits again wait for their turn: none of the calls waits for a claim.
#[derive(Clone)]
pub(super) struct Places {
    taken: Arc<watch::Sender<Taken>>,
    /// Maximum number of visits that make their calls.
    maximum: usize,
    /// Turns to make calls.
    turns: Arc<Semaphore>,
}

#[derive(Clone, Copy, Default)]
struct Taken {
    /// Visits that make their calls, or wait for their turn.
    calls: usize,
    /// Visits whose results wait to be stored.
    results: usize,
}

/// The place of one visit, until it is dropped.
pub(super) struct Place {
    places: Places,
    turn: Option<OwnedSemaphorePermit>,
    is_answered: bool,
}

impl Taken {
    /// Number of visits that may be claimed while at most `limit` make their calls, and `ahead` wait for their turn.
    fn free(self, limit: usize, ahead: usize) -> usize {
        let Self { calls, results } = self;
        (limit + ahead).saturating_sub(calls).min((2 * limit).saturating_sub(calls + results))
    }

    fn is_none(self) -> bool {
        self.calls + self.results == 0
    }
}

impl Places {
    /// No visit is under way, of which at most `maximum` make their calls at the same time.
    pub(super) fn new(maximum: usize) -> Self {
        let taken = Arc::new(watch::Sender::new(Taken::default()));
        let maximum = maximum.max(1);
        Self { taken, maximum, turns: Arc::new(Semaphore::new(maximum)) }
    }

    /// Takes a place.
    pub(super) fn take(&self) -> Place {
        self.taken.send_modify(|taken| taken.calls += 1);
        Place { places: self.clone(), turn: None, is_answered: false }
    }

    /// Number of visits that may be claimed while at most `limit` make their calls.
    pub(super) fn free(&self, limit: usize) -> usize {
        self.taken.borrow().free(limit, self.ahead(limit))
    }

    /// Number of visits that may wait for their turn while at most `limit` make their calls.
    fn ahead(&self, limit: usize) -> usize {
        if limit == self.maximum { limit / 2 } else { 0 }
    }

    /// Returns once `count` visits may be claimed while at most `limit` make their calls: never for more than are free
    /// while no visit is under way.
    pub(super) async fn are_free(&self, count: usize, limit: usize) {
        let ahead = self.ahead(limit);
        self.until(|taken| taken.free(limit, ahead) >= count).await;
    }

    /// Whether no visit is under way.
    pub(super) fn are_empty(&self) -> bool {
        self.taken.borrow().is_none()
    }

    /// Returns once no visit is under way.
    pub(super) async fn emptied(&self) {
        self.until(|taken| taken.is_none()).await;
    }

    async fn until(&self, is_so: impl Fn(&Taken) -> bool) {
        let mut taken = self.taken.subscribe();
        // Never an error: the sender lives as long as `self`.
        let _ = taken.wait_for(is_so).await;
    }
}

impl Place {
    /// Returns when it is the visit's turn to make its calls, and whether others were before it.
    pub(super) async fn begin(&mut self) -> bool {
        let turns = Arc::clone(&self.places.turns);
        let turn = Arc::clone(&turns).try_acquire_owned().ok();
        let has_waited = turn.is_none();
        self.turn = match turn {
            Some(turn) => Some(turn),
            // Never an error: nobody closes them.
            None => turns.acquire_owned().await.ok(),
        };
        has_waited
    }

    /// The visit has its answers, and makes no more calls.
    pub(super) fn answered(&mut self) {
        self.turn = None;
        if !self.is_answered {
            self.is_answered = true;
            self.places.taken.send_modify(|taken| {
                taken.calls -= 1;
                taken.results += 1;
            });
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.send_modify(|taken| {
            let part = if self.is_answered { &mut taken.results } else { &mut taken.calls };
            *part -= 1;
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn half_as_many_visits_again_as_there_may_be_calls_are_claimed_ahead() {
        let places = Places::new(4);
        let mut visits: Vec<_> = (0..4).map(|_| places.take()).collect();
        assert_eq!(places.free(4), 2);
        assert_eq!(places.free(3), 0, "none while fewer calls are allowed");
        visits.extend([places.take(), places.take()]);
        assert_eq!(places.free(4), 0);
        visits[0].answered();
        assert_eq!(places.free(4), 1);
        drop(visits);
        assert_eq!(places.free(4), 6);
        assert!(places.are_empty());
    }

    #[test]
    fn a_visit_whose_place_is_one_too_many_waits_until_another_has_its_answers() {
        let places = Places::new(1);
        let (mut first, mut second) = (places.take(), places.take());
        assert_eq!(first.begin().now_or_never(), Some(false));
        let mut begun = Box::pin(second.begin());
        assert_eq!(begun.as_mut().now_or_never(), None);
        first.answered();
        assert_eq!(begun.now_or_never(), Some(true));
    }

    #[test]
    fn as_many_results_as_calls_may_wait() {
        let places = Places::new(2);
        let mut results: Vec<_> = (0..4).map(|_| places.take()).collect();
        results.iter_mut().for_each(Place::answered);
        assert_eq!(places.free(2), 0);
        results.pop();
        assert_eq!(places.free(2), 1);
        assert_eq!(places.free(0), 0);
    }
}
