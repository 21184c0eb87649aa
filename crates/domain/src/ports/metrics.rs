//! Metrics: counts of what the use cases decide.

use std::time::Duration;

use super::{InstagramErrorKind, StoredUpdates};
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
    /// A visit of the keeper ended.
    VisitEnded {
        /// Its outcome.
        outcome: VisitOutcome,
        /// Time from its beginning to its stored result.
        elapsed: Duration,
    },
    /// Updates came by webhook, and all that are to be stored are.
    UpdatesReceived(StoredUpdates),
    /// So many items of a webhook told no update.
    UpdatesUnreadable(u64),
    /// Accounts that may be kept in memory were read for a caller.
    AccountsRead {
        /// Where they were looked for at last.
        source: ReadSource,
        /// Number of accounts, also of those that are not there.
        number: u64,
    },
}

/// Where an account was looked for at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadSource {
    /// In memory, and found.
    Memory,
    /// In the store.
    Store,
}

/// Outcome of a visit of the keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisitOutcome {
    /// All that was due was done: a renewal, a reading, or both.
    Done,
    /// Something that was due could not be done now, and is tried again.
    Failed,
    /// The account was marked, because its token has run out.
    Expired,
    /// The account was marked, because Instagram refused its token twice.
    Refused,
    /// A marked account works again.
    Healed,
    /// A marked account was asked about, and is refused still.
    StillRefused,
    /// The account cannot be read, or its token is gone: it was put off.
    Unreadable,
    /// Nothing was stored, and the account is due as it was: the app is sick, the keeper stops, or another changed the
    /// account meanwhile.
    GivenBack,
}

/// Counts events.
pub trait Metrics: Send + Sync {
    /// Counts one event. Never waits.
    fn count(&self, event: CountedEvent);
}
