//! Calls under way, counted by caller.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ig_domain::{Caller, CallerName};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Maximum number of calls under way of a caller without a limit of its own. Ours: enough to keep the store busy, and
/// few enough for others, who wait behind them at the store, not to notice.
pub(crate) const DEFAULT_MAX_IN_FLIGHT: NonZeroU32 = NonZeroU32::new(64).unwrap();

/// Maximum number of reads of many accounts (`List`, `BatchGet`) of one caller at a time; its others wait for their
/// turn. Ours: they pass quickly, and leave processors and store to others' calls.
const MAX_BULK_READS: usize = 1;

/// Maximum number of streams of one caller at a time, beside its other calls. Ours: a stream that is quiet costs little,
/// and a service needs one.
pub(crate) const MAX_STREAMS: u32 = 16;

/// The calls under way, counted by name, so that a caller that is read anew keeps its count.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<Mutex<HashMap<CallerName, CallerCalls>>>);

/// Calls of one caller under way.
#[derive(Debug)]
struct CallerCalls {
    count: u32,
    streams: u32,
    bulk_reads: Arc<Semaphore>,
}

/// A call's place among those of its caller, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    in_flight: InFlight,
    caller: Arc<Caller>,
    bulk_reads: Arc<Semaphore>,
    is_stream: bool,
}

impl InFlight {
    /// A place for one more call, if the caller has not as many under way as it may.
    pub(super) fn enter(&self, caller: &Arc<Caller>) -> Option<Place> {
        let limit = caller.max_in_flight.unwrap_or(DEFAULT_MAX_IN_FLIGHT).get();
        self.place(caller, limit, false)
    }

    /// A place for one more stream, if the caller has fewer than [`MAX_STREAMS`].
    pub(super) fn enter_stream(&self, caller: &Arc<Caller>) -> Option<Place> {
        self.place(caller, MAX_STREAMS, true)
    }

    fn place(&self, caller: &Arc<Caller>, limit: u32, is_stream: bool) -> Option<Place> {
        let mut calls = self.calls();
        let of_caller = match calls.get_mut(&caller.name) {
            Some(of_caller) => of_caller,
            None => calls.entry(caller.name.clone()).or_insert_with(CallerCalls::none),
        };
        let bulk_reads = Arc::clone(&of_caller.bulk_reads);
        let count = of_caller.count_of(is_stream);
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place { in_flight: self.clone(), caller: Arc::clone(caller), bulk_reads, is_stream })
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<CallerName, CallerCalls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallerCalls {
    fn none() -> Self {
        Self { count: 0, streams: 0, bulk_reads: Arc::new(Semaphore::new(MAX_BULK_READS)) }
    }

    /// The number of streams under way, or of other calls.
    fn count_of(&mut self, streams: bool) -> &mut u32 {
        if streams { &mut self.streams } else { &mut self.count }
    }
}

impl Place {
    /// Caller whose place it is.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Waits for a turn of the caller's to read many accounts; it lasts until it is dropped.
    pub(super) async fn caller_turn(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.bulk_reads).acquire_owned().await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let name = &self.caller.name;
        let mut calls = self.in_flight.calls();
        if let Some(of_caller) = calls.get_mut(name) {
            *of_caller.count_of(self.is_stream) -= 1;
            if of_caller.count == 0 && of_caller.streams == 0 {
                calls.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

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
        assert!(in_flight.calls().is_empty());
    }

    #[test]
    fn streams_have_places_of_their_own() {
        let (in_flight, one) = (InFlight::default(), caller("a", 1));
        let mut streams: Vec<_> =
            std::iter::from_fn(|| in_flight.enter_stream(&one)).take(1000).collect();
        assert_eq!(streams.len(), 16);
        let call = in_flight.enter(&one).unwrap();
        assert!(in_flight.enter(&one).is_none());
        streams.pop();
        streams.push(in_flight.enter_stream(&one).unwrap());
        drop(call);
        assert!(in_flight.enter_stream(&one).is_none(), "a call gave a stream's place back");
        drop(streams);
        assert!(in_flight.calls().is_empty());
    }

    #[tokio::test]
    async fn reads_of_many_accounts_take_turns_by_caller() {
        let (in_flight, one, other) = (InFlight::default(), caller("a", 0), caller("b", 0));
        let places = [in_flight.enter(&one).unwrap(), in_flight.enter(&one).unwrap()];
        let first = places[0].caller_turn().await.unwrap();
        let mut second = std::pin::pin!(places[1].caller_turn());
        assert!(second.as_mut().now_or_never().is_none());
        let others = in_flight.enter(&other).unwrap();
        let _others = others.caller_turn().await.unwrap();
        drop(first);
        let _second = second.await.unwrap();
    }
}
