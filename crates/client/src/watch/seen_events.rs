//! Seen events: the ids of the last events, so that none is shown twice.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// Maximum number of events that are remembered, some 100 bytes each.
const MAX_EVENTS: usize = 10_000;

/// The last events that were shown, by id.
#[derive(Default)]
pub(super) struct SeenEvents {
    ids: HashSet<Arc<str>>,
    /// The same, oldest first.
    order: VecDeque<Arc<str>>,
}

impl SeenEvents {
    /// Whether the event was not shown yet. It counts as shown from now on.
    pub(super) fn is_new(&mut self, event_id: &str) -> bool {
        let id: Arc<str> = event_id.into();
        if !self.ids.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_EVENTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_events_are_remembered() {
        let mut seen = SeenEvents::default();
        for number in 0..=MAX_EVENTS {
            assert!(seen.is_new(&number.to_string()));
            assert!(!seen.is_new(&number.to_string()));
        }
        assert_eq!((seen.ids.len(), seen.order.len()), (MAX_EVENTS, MAX_EVENTS));
        assert!(!seen.is_new("1"), "one of the last");
        assert!(seen.is_new("0"), "the oldest is forgotten");
    }
}
