//! A bounded map: when it is full, the oldest entry makes room.

use std::collections::{HashMap, VecDeque};

/// Keeps the newest `capacity` entries by text key.
pub(crate) struct BoundedMap<V> {
    capacity: usize,
    order: VecDeque<String>,
    entries: HashMap<String, V>,
}

impl<V> BoundedMap<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, order: VecDeque::new(), entries: HashMap::new() }
    }

    /// Adds an entry under a key that is not in use.
    pub(crate) fn insert(&mut self, key: String, value: V) {
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.order.push_back(key.clone());
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

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_makes_room() {
        let mut newest = BoundedMap::new(2);
        for key in ["a", "b", "c"] {
            newest.insert(key.to_owned(), key);
        }
        assert_eq!(
            [newest.get("a"), newest.get("b"), newest.get("c")],
            [None, Some(&"b"), Some(&"c")]
        );
    }
}
