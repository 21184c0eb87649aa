//! Places of the visits that are under way.

use std::sync::Arc;

use tokio::sync::watch;

/// Count of the visits that are under way. Clones share it.
///
/// A visit takes a place among the calls to Instagram until it has its answers. While its result is stored, another one
/// makes its calls: as many results as calls may wait, so that a slow store slows the visits down.
#[derive(Clone)]
pub(super) struct Places(Arc<watch::Sender<Taken>>);

#[derive(Clone, Copy, Default)]
struct Taken {
    /// Visits that make their calls.
    calls: usize,
    /// Visits whose results wait to be stored.
    results: usize,
}

/// The place of one visit, until it is dropped.
pub(super) struct Place {
    places: Places,
    is_answered: bool,
}

impl Taken {
    /// Number of visits that may begin while at most `limit` make their calls.
    fn free(self, limit: usize) -> usize {
        let Self { calls, results } = self;
        limit.saturating_sub(calls).min((2 * limit).saturating_sub(calls + results))
    }

    fn is_none(self) -> bool {
        self.calls + self.results == 0
    }
}

impl Places {
    /// No visit is under way.
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Taken::default())))
    }

    /// Takes a place.
    pub(super) fn take(&self) -> Place {
        self.0.send_modify(|taken| taken.calls += 1);
        Place { places: self.clone(), is_answered: false }
    }

    /// Number of visits that may begin while at most `limit` make their calls.
    pub(super) fn free(&self, limit: usize) -> usize {
        self.0.borrow().free(limit)
    }

    /// Returns once `count` visits may begin while at most `limit` make their calls: never for more than `limit`.
    pub(super) async fn are_free(&self, count: usize, limit: usize) {
        self.until(|taken| taken.free(limit) >= count).await;
    }

    /// Whether no visit is under way.
    pub(super) fn are_empty(&self) -> bool {
        self.0.borrow().is_none()
    }

    /// Returns once no visit is under way.
    pub(super) async fn emptied(&self) {
        self.until(|taken| taken.is_none()).await;
    }

    async fn until(&self, is_so: impl Fn(&Taken) -> bool) {
        let mut taken = self.0.subscribe();
        // Never an error: the sender lives as long as `self`.
        let _ = taken.wait_for(is_so).await;
    }
}

impl Place {
    /// The visit has its answers, and makes no more calls.
    pub(super) fn answered(&mut self) {
        if !self.is_answered {
            self.is_answered = true;
            self.places.0.send_modify(|taken| {
                taken.calls -= 1;
                taken.results += 1;
            });
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.0.send_modify(|taken| {
            let part = if self.is_answered { &mut taken.results } else { &mut taken.calls };
            *part -= 1;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_that_has_its_answers_makes_room_for_the_calls_of_another() {
        let places = Places::new();
        let mut first = places.take();
        let second = places.take();
        assert_eq!(places.free(2), 0);
        first.answered();
        assert_eq!(places.free(2), 1);
        drop((first, second));
        assert_eq!(places.free(2), 2);
        assert!(places.are_empty());
    }

    #[test]
    fn as_many_results_as_calls_may_wait() {
        let places = Places::new();
        let mut results: Vec<_> = (0..4).map(|_| places.take()).collect();
        results.iter_mut().for_each(Place::answered);
        assert_eq!(places.free(2), 0);
        results.pop();
        assert_eq!(places.free(2), 1);
        assert_eq!(places.free(0), 0);
    }
}
