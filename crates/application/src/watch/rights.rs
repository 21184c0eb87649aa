//! Rights of a stream, which are judged anew while it runs.

use ig_domain::ports::NotAuthenticated;
use ig_domain::{EventKind, OwnerScope};

/// Judges who watches.
pub trait WatchRights: Send + Sync {
    /// The part of the log that the stream may show now. Never waits.
    ///
    /// # Errors
    ///
    /// When the stream must end.
    fn judge(&self) -> Result<WatchScope, RightsLost>;
}

/// Part of the log that a stream may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchScope {
    /// Only events of accounts of these owners.
    pub owners: OwnerScope,
    /// Only events of these kinds.
    pub kinds: Vec<EventKind>,
    /// Whether accounts come with their events.
    pub shows_accounts: bool,
}

/// Reason for which a stream may show nothing more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RightsLost {
    /// The credentials are no longer those of a caller.
    #[error(transparent)]
    Unauthenticated(NotAuthenticated),
    /// The caller has no role that opens streams.
    #[error("the caller has no role that opens streams")]
    RoleMissing,
    /// The caller has not the role that sees events of a kind that the request names.
    #[error("the caller has not the role that sees events of this kind")]
    KindNotAllowed(EventKind),
    /// The caller may not act for the owner that the request names.
    #[error("the caller may not act for this owner")]
    OwnerNotAllowed,
    /// The certificate was shown too long ago.
    #[error("the certificate was shown too long ago")]
    CertificateExpired,
}
