//! Which account a call turned out to be about, for the log.

use std::sync::{Arc, OnceLock};

use ig_domain::AccountId;
use tonic::Request;

/// A place for the account, shared by a call's layer and its handler.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject(Arc<OnceLock<AccountId>>);

impl Subject {
    /// The place that the layer made for this request, and the message.
    pub(crate) fn split<T>(request: Request<T>) -> (Self, T) {
        let subject = request.extensions().get::<Self>().cloned().unwrap_or_default();
        (subject, request.into_inner())
    }

    /// Says which account it is, if one; the first word counts.
    pub(crate) fn is(&self, account: Option<AccountId>) {
        if let Some(account) = account {
            self.0.get_or_init(|| account);
        }
    }

    /// The account, if the handler came to one.
    pub(super) fn account(&self) -> Option<AccountId> {
        self.0.get().copied()
    }
}
