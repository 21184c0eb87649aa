//! Context of a call, shared by its layer and its handler.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ig_domain::{AccountId, Caller, Owner, OwnerScope};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tonic::{Request, Status};

use super::in_flight::Place;
use super::request_id::RequestIdHeader;
use super::stream_rights::StreamCredentials;
use crate::status::{ToStatus as _, internal, no_turn};

/// Timeout of a read of many accounts that waits for its turn among those of its caller. Ours: longer than a store that
/// hangs keeps two of them, and well below what a call without a deadline has.
const CALLER_TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// Caller and request id, and what the call turns out to be about. Shared by layer and handler.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    place: Arc<Place>,
    request_id: RequestIdHeader,
    subject: Arc<Subject>,
}

/// What a call turns out to be about, as far as its handler has come.
#[derive(Debug, Default)]
struct Subject {
    account: OnceLock<AccountId>,
    named_owner: OnceLock<Owner>,
}

/// A handler was reached past the layer.
#[derive(Debug, thiserror::Error)]
#[error("the call did not pass the layer that knows its caller")]
struct NoContext;

impl Context {
    /// The context of a call that has this place among those of its caller.
    pub(super) fn of(place: Arc<Place>, request_id: RequestIdHeader) -> Self {
        Self { place, request_id, subject: Arc::default() }
    }

    /// The context that the layer gave this request, and the message.
    ///
    /// # Errors
    ///
    /// `INTERNAL` when there is none: nobody is served whom the layer has not let pass.
    pub(crate) fn split<T>(mut request: Request<T>) -> Result<(Self, T), Status> {
        let context =
            request.extensions_mut().remove::<Self>().ok_or_else(|| internal(NoContext))?;
        Ok((context, request.into_inner()))
    }

    /// As [`split`](Self::split), with the credentials that the layer has kept of a stream's request.
    ///
    /// # Errors
    ///
    /// `INTERNAL` when it has kept none.
    pub(crate) fn split_stream<T>(
        mut request: Request<T>,
    ) -> Result<(Self, StreamCredentials, T), Status> {
        let credentials = request.extensions_mut().remove().ok_or_else(|| internal(NoContext))?;
        let (context, message) = Self::split(request)?;
        Ok((context, credentials, message))
    }

    /// The owners whose accounts the call may be about: all of its caller's, or the one that the request names.
    ///
    /// # Errors
    ///
    /// `PERMISSION_DENIED` when the request names an owner who is none of its caller's.
    pub(crate) fn owners(&self, named: Option<Owner>) -> Result<OwnerScope, Status> {
        if let Some(owner) = &named {
            self.subject.named_owner.get_or_init(|| owner.clone());
        }
        self.caller().owners.narrowed(named).map_err(|error| error.to_status())
    }

    /// Sets the account of the call, if there is one; the first one counts.
    pub(crate) fn is_about(&self, account: Option<AccountId>) {
        if let Some(account) = account {
            self.subject.account.get_or_init(|| account);
        }
    }

    /// The call's place, for work that outlives it: it is counted for the caller until that work has ended.
    pub(crate) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    /// Waits for a turn of the caller's to read many accounts; it lasts until it is dropped.
    ///
    /// # Errors
    ///
    /// `OVERLOADED` where it does not come in time.
    pub(crate) async fn caller_turn(&self) -> Result<OwnedSemaphorePermit, Status> {
        let waited = timeout(CALLER_TURN_TIMEOUT, self.place.caller_turn()).await;
        waited.map_err(|_| no_turn())?.map_err(internal)
    }

    /// The caller.
    pub(crate) fn caller(&self) -> &Caller {
        self.place.caller()
    }

    /// The status with the request id in its details and metadata, for a stream that ends with it.
    pub(crate) fn signed(&self, status: Status) -> Status {
        let mut status = self.request_id.signed(status);
        self.request_id.mark(status.metadata_mut().as_mut());
        status
    }

    /// The id under which the call is logged.
    pub(crate) fn request_id(&self) -> &str {
        self.request_id.as_str()
    }

    /// The owner that the request names, if it does.
    pub(super) fn named_owner(&self) -> Option<&Owner> {
        self.subject.named_owner.get()
    }

    /// The account, if the handler came to one.
    pub(super) fn account(&self) -> Option<AccountId> {
        self.subject.account.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use ig_domain::Caller;
    use tokio::time::Instant;
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::calls::in_flight::InFlight;
    use crate::calls::request_id::RequestIds;

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_does_not_come_means_overload() {
        let in_flight = InFlight::default();
        let caller = Arc::new(Caller::anonymous());
        let context = || {
            let id = RequestIdHeader::of(&http::HeaderMap::new(), &request_ids());
            Context::of(Arc::new(in_flight.enter(&caller).unwrap()), id)
        };
        let (first, second) = (context(), context());
        let _turn = first.caller_turn().await.unwrap();
        let begin = Instant::now();
        let refused = second.caller_turn().await.unwrap_err();
        assert_eq!(begin.elapsed(), CALLER_TURN_TIMEOUT);
        assert_eq!(refused.get_details_error_info().unwrap().reason, "OVERLOADED");
        assert!(refused.get_details_retry_info().is_some());
    }

    fn request_ids() -> RequestIds {
        Arc::new(|| "1".to_owned())
    }
}
