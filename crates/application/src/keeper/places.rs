//! Places of the visits that are under way.

use std::sync::Arc;

use tokio::sync::watch;

/// Count of the visits that are under way. Clones share it.
#[derive(Clone)]
pub(super) struct Places(Arc<watch::Sender<usize>>);

/// The place of one visit, until it is dropped.
pub(super) struct Place(Places);

impl Places {
    /// No visit is under way.
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Takes a place.
    pub(super) fn take(&self) -> Place {
        self.0.send_modify(|taken| *taken += 1);
        Place(self.clone())
    }

    /// Number of places that are taken.
    pub(super) fn taken(&self) -> usize {
        *self.0.borrow()
    }

    /// Returns once at most `bound` places are taken.
    pub(super) async fn at_most(&self, bound: usize) {
        let mut taken = self.0.subscribe();
        // Never an error: the sender lives as long as `self`.
        let _ = taken.wait_for(|taken| *taken <= bound).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.send_modify(|taken| *taken -= 1);
    }
}
