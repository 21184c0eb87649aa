//! Errors of finishing a link.

use ig_domain::ports::{InstagramError, StoreError};
use ig_domain::{LinkRefusal, StateRejection};

/// Reason for which a link did not finish.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkAccountError {
    /// The state is rejected; nothing was begun.
    #[error(transparent)]
    StateRejected(#[from] StateRejection),
    /// This code will never become an account.
    #[error(transparent)]
    Refused(LinkRefusal),
    /// Instagram could not help now; the same call may be made again.
    #[error(transparent)]
    Instagram(InstagramError),
    /// The code was linked before, and the account has been unlinked since.
    #[error("the account of this link has been unlinked since")]
    AccountNotFound,
    /// The store failed; the same call may be made again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work panicked.
    #[error("the work of linking panicked")]
    Panicked,
}
