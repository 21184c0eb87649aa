//! Metrics: counts of what the use cases decide.

use super::InstagramErrorKind;
use crate::{CodeHash, LinkOutcome, ReauthorizationReason};

/// An event that is counted once, where it is decided and once the store has confirmed it, however many callers and
/// replicas waited for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountedEvent {
    /// A link ended.
    LinkEnded(LinkOutcome),
    /// A link of this code did not end, and the same call goes on with it.
    LinkPostponed(CodeHash),
    /// A token was renewed, and the new one is stored.
    TokenRenewed,
    /// Instagram did not renew a token.
    RenewalFailed(InstagramErrorKind),
    /// An account that was not marked is marked now, because Instagram refused its token twice.
    AccountRefused(ReauthorizationReason),
}

/// Counts events.
pub trait Metrics: Send + Sync {
    /// Counts one event. Never waits.
    fn count(&self, event: CountedEvent);
}
