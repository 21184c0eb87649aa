//! Sums up repeated refusals, so that a peer that is refused again and again does not fill the log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ig_domain::CallerName;

/// Time between two summaries.
const SUMMARY_INTERVAL: Duration = Duration::from_mins(1);

/// Maximum number of kinds of refusals that are told apart between two summaries; further ones are one kind.
const MAX_KINDS: usize = 1024;

/// The refusals since the last summary. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Arc<Mutex<HashMap<Kind, u64>>>);

/// Peer, caller and reason of a refusal. A peer is its address without the port, which is another for each connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    /// `None` where it is not told apart from others.
    pub(crate) peer: Option<IpAddr>,
    /// `None` where the caller is not known.
    pub(crate) caller: Option<CallerName>,
    /// The reason that the peer is told.
    pub(crate) reason: String,
}

impl Kind {
    /// The kind of all that are not told apart.
    fn other() -> Self {
        Self { peer: None, caller: None, reason: "OTHER".to_owned() }
    }
}

impl Refusals {
    /// Counts a refusal; tells whether it is the first of its kind since the last summary, and to be logged by itself.
    pub(crate) fn is_first(&self, kind: Kind) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told_apart = counts.contains_key(&kind) || counts.len() < MAX_KINDS;
        let count = counts.entry(if told_apart { kind } else { Kind::other() }).or_default();
        *count += 1;
        *count == 1
    }

    /// Logs the number of repeated refusals of each kind, each [`SUMMARY_INTERVAL`].
    pub(crate) async fn sum_up_regularly(&self) {
        loop {
            tokio::time::sleep(SUMMARY_INTERVAL).await;
            self.sum_up();
        }
    }

    /// Logs each kind that was refused more than once, and forgets all.
    pub(crate) fn sum_up(&self) {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (Kind { peer, caller, reason }, count) in counts {
            if let Some(more @ 1..) = count.checked_sub(1) {
                let peer = peer.map(tracing::field::display);
                let caller = caller.as_ref().map(CallerName::as_str);
                tracing::warn!(peer, caller, reason, count = more, "refused again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(number: u32, reason: &str) -> Kind {
        Kind {
            peer: Some(IpAddr::from(number.to_be_bytes())),
            caller: None,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn each_kind_is_told_once_between_two_summaries() {
        let refusals = Refusals::default();
        let told = [kind(1, "A"), kind(1, "A"), kind(2, "A"), kind(1, "B"), kind(1, "A")];
        assert_eq!(told.map(|kind| refusals.is_first(kind)), [true, false, true, true, false]);
        refusals.sum_up();
        assert!(refusals.is_first(kind(1, "A")));
    }

    #[test]
    fn beyond_the_limit_all_kinds_are_one() {
        let refusals = Refusals::default();
        let told = (0..100_000).filter(|number| refusals.is_first(kind(*number, "A"))).count();
        assert_eq!(told, MAX_KINDS + 1);
        assert_eq!(refusals.0.lock().unwrap().len(), MAX_KINDS + 1);
    }
}
