//! How many calls of each caller are under way.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ig_domain::{Caller, CallerName};

/// How many calls a caller may have under way that is given no limit of its own. Ours: enough to keep the store busy,
/// and few enough for others, who wait behind them at the store, not to notice.
pub(crate) const USUAL_LIMIT: NonZeroU32 = NonZeroU32::new(64).unwrap();

/// The calls under way, counted by name, so that a caller that is read anew keeps its count.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<Mutex<HashMap<CallerName, u32>>>);

/// A call's place among those of its caller, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    in_flight: InFlight,
    caller: Arc<Caller>,
}

impl InFlight {
    /// A place for one more call, if the caller has not as many under way as it may.
    pub(super) fn enter(&self, caller: &Arc<Caller>) -> Option<Place> {
        let limit = caller.max_in_flight.unwrap_or(USUAL_LIMIT).get();
        let mut counts = self.counts();
        match counts.get_mut(&caller.name) {
            Some(count) if *count >= limit => return None,
            Some(count) => *count += 1,
            None => {
                counts.insert(caller.name.clone(), 1);
            }
        }
        Some(Place { in_flight: self.clone(), caller: Arc::clone(caller) })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<CallerName, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whose place it is.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let name = &self.caller.name;
        let mut counts = self.in_flight.counts();
        if let Some(count) = counts.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                counts.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str, limit: u32) -> Arc<Caller> {
        let max_in_flight = NonZeroU32::new(limit);
        Arc::new(Caller { name: name.parse().unwrap(), max_in_flight, ..Caller::anonymous() })
    }

    #[test]
    fn each_caller_has_places_of_its_own() {
        let (in_flight, one, other) = (InFlight::default(), caller("a", 2), caller("b", 1));
        let _first = in_flight.enter(&one).unwrap();
        let second = in_flight.enter(&one).unwrap();
        assert!(in_flight.enter(&one).is_none());
        let _others = in_flight.enter(&other).unwrap();
        drop(second);
        let _third = in_flight.enter(&one).unwrap();
        assert!(in_flight.enter(&one).is_none());
    }

    #[test]
    fn a_caller_that_is_read_anew_keeps_its_count() {
        let in_flight = InFlight::default();
        let _first = in_flight.enter(&caller("a", 1)).unwrap();
        assert!(in_flight.enter(&caller("a", 1)).is_none());
        assert!(in_flight.enter(&caller("a", 2)).is_some());
    }

    #[test]
    fn without_a_limit_the_usual_one_holds_and_nothing_is_kept_of_who_is_gone() {
        let (in_flight, one) = (InFlight::default(), caller("a", 0));
        let places: Vec<_> = std::iter::from_fn(|| in_flight.enter(&one)).take(1000).collect();
        assert_eq!(places.len(), 64);
        drop(places);
        assert!(in_flight.counts().is_empty());
    }
}
