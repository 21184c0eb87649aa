//! Metrics that a test reads.

use std::sync::{Arc, Mutex, PoisonError};

use ig_domain::ports::{CountedEvent, Metrics};

/// Metrics that keep each event, in order. Clones share them.
#[derive(Clone, Default)]
pub struct RecordedMetrics(Arc<Mutex<Vec<CountedEvent>>>);

impl RecordedMetrics {
    /// The events since they were taken last.
    #[must_use]
    pub fn take(&self) -> Vec<CountedEvent> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Metrics for RecordedMetrics {
    fn count(&self, event: CountedEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}
