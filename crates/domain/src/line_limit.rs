//! Limit on the rate of log lines of one kind.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one line of each kind pass per interval, and counts those that are left out in between.
///
/// Kinds must be few: none is ever forgotten.
#[derive(Debug)]
pub struct LineLimit<K> {
    interval: Duration,
    kinds: Mutex<HashMap<K, Interval>>,
}

#[derive(Debug)]
struct Interval {
    start: Instant,
    left_out: u64,
}

impl<K: Eq + Hash> LineLimit<K> {
    /// A limit of one line of each kind per `interval`.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { interval, kinds: Mutex::default() }
    }

    /// Number of lines of this kind that were left out since the last one that passed; `None` where this one is to
    /// be left out too.
    pub fn admit(&self, kind: K, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let current = kinds.get_mut(&kind);
        match current {
            Some(current) if now.saturating_duration_since(current.start) < self.interval => {
                current.left_out += 1;
                None
            }
            _ => {
                let former = kinds.insert(kind, Interval { start: now, left_out: 0 });
                Some(former.map_or(0, |former| former.left_out))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE_INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn one_line_of_a_kind_passes_per_interval_and_tells_how_many_did_not() {
        let limit = LineLimit::new(LINE_INTERVAL);
        let start = Instant::now();
        let just_before = start + Duration::from_nanos(9_999_999_999);
        assert_eq!(limit.admit("me", start), Some(0));
        assert_eq!(limit.admit("me", start), None);
        assert_eq!(limit.admit("me", just_before), None);
        assert_eq!(limit.admit("renewal", just_before), Some(0));
        assert_eq!(limit.admit("me", start + LINE_INTERVAL), Some(2));
        assert_eq!(limit.admit("me", start + LINE_INTERVAL), None);
        assert_eq!(limit.admit("me", start + LINE_INTERVAL * 3), Some(1));
        assert_eq!(limit.admit("me", start + LINE_INTERVAL * 9), Some(0));
    }
}
