//! A bounded map: when it is full, the oldest entry makes room.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Keeps the newest `capacity` entries by text key.
pub(crate) struct BoundedMap<V> {
    capacity: usize,
    order: VecDeque<Arc<str>>,
    entries: HashMap<Arc<str>, V>,
}

impl<V> BoundedMap<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, order: VecDeque::new(), entries: HashMap::new() }
    }

    /// Adds an entry under a key that is not in use.
    pub(crate) fn insert(&mut self, key: &str, value: V) {
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
        let key = Arc::<str>::from(key);
        self.order.push_back(Arc::clone(&key));
        self.entries.insert(key, value);
    }

    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_makes_room() {
        let mut newest = BoundedMap::new(2);
        for key in ["a", "b", "c"] {
            newest.insert(key, key);
        }
        assert_eq!(
            [newest.get("a"), newest.get("b"), newest.get("c")],
            [None, Some(&"b"), Some(&"c")]
        );
    }
}
