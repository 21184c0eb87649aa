//! Connections that serve a caller, and those that can make room for others.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

/// All open connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activities {
    all: Arc<Mutex<Vec<Weak<Connection>>>>,
    /// Counter of beginnings of idleness: a connection with a lower number has been idle for longer.
    moments: Arc<AtomicU64>,
}

/// Activity of one connection. Its requests carry it as an extension.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    calls: AtomicUsize,
    streams_without_caller: AtomicUsize,
    other_calls_without_caller: AtomicUsize,
    idle_since: AtomicU64,
    moments: Arc<AtomicU64>,
    leaving: CancellationToken,
}

/// A call under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Activity);

/// A call under way that needs no caller, until it is dropped. It does not keep its connection.
#[derive(Debug)]
pub(crate) struct WithoutCaller {
    connection: Activity,
    is_stream: bool,
}

impl Activities {
    /// One more connection, idle still.
    pub(crate) fn enter(&self) -> Activity {
        let activity = Activity(Arc::new(Connection {
            calls: AtomicUsize::new(0),
            streams_without_caller: AtomicUsize::new(0),
            other_calls_without_caller: AtomicUsize::new(0),
            idle_since: AtomicU64::new(self.moments.fetch_add(1, Ordering::Relaxed)),
            moments: Arc::clone(&self.moments),
            leaving: CancellationToken::new(),
        }));
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|connection| connection.strong_count() > 0);
        all.push(Arc::downgrade(&activity.0));
        activity
    }

    /// Asks the connection that has served no caller for the longest time to close, if there is one.
    ///
    /// A caller's calls and streams under way are counted, so no caller keeps more connections than it may have of
    /// them; what needs no caller keeps none.
    pub(crate) fn make_room(&self) {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let open = all.iter().filter_map(Weak::upgrade).map(Activity);
        let idle = open.filter(|one| !one.is_busy() && !one.0.leaving.is_cancelled());
        if let Some(longest) = idle.min_by_key(|one| one.0.idle_since.load(Ordering::Relaxed)) {
            longest.0.leaving.cancel();
        }
    }
}

impl Activity {
    /// Counts a call of a caller that was let in.
    pub(crate) fn begin(&self) -> Busy {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Counts a call that needs no caller, unless `limit` of its kind are under way.
    pub(crate) fn begin_without_caller(
        &self,
        is_stream: bool,
        limit: usize,
    ) -> Option<WithoutCaller> {
        let one_more = |count| (count < limit).then_some(count + 1);
        let calls = self.0.calls_without_caller(is_stream);
        calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(WithoutCaller { connection: self.clone(), is_stream })
    }

    /// Whether a call of a caller is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.calls.load(Ordering::Relaxed) > 0
    }

    /// Waits until the connection is to make room.
    pub(crate) async fn leaving(&self) {
        self.0.leaving.cancelled().await;
    }
}

impl Connection {
    /// Number of streams, or of other calls, under way that need no caller.
    fn calls_without_caller(&self, are_streams: bool) -> &AtomicUsize {
        if are_streams { &self.streams_without_caller } else { &self.other_calls_without_caller }
    }
}

impl Drop for WithoutCaller {
    fn drop(&mut self) {
        let Self { connection, is_stream } = self;
        connection.0.calls_without_caller(*is_stream).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Connection { calls, idle_since, moments, .. } = &*self.0.0;
        idle_since.store(moments.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each of them was asked to leave.
    fn asked(connections: &[&Activity]) -> Vec<bool> {
        connections.iter().map(|one| one.0.leaving.is_cancelled()).collect()
    }

    #[test]
    fn who_has_been_idle_for_longest_leaves_first_and_who_is_busy_stays() {
        let all = Activities::default();
        let (first, second, third) = (all.enter(), all.enter(), all.enter());
        drop(first.begin());
        let _busy = third.begin();
        all.make_room();
        assert_eq!(asked(&[&first, &second, &third]), [false, true, false]);
        all.make_room();
        assert_eq!(asked(&[&first, &second, &third]), [true, true, false]);
        all.make_room();
        assert_eq!(asked(&[&first, &second, &third]), [true, true, false]);
    }

    #[test]
    fn nothing_is_kept_of_who_has_left() {
        let all = Activities::default();
        drop(all.enter());
        let _here = all.enter();
        assert_eq!(all.all.lock().unwrap().len(), 1);
    }
}
