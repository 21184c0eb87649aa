//! Admission of calls: the caller, its rights, and its room for one more call.

use std::sync::Arc;

use http::Request;
use ig_domain::CallerName;
use ig_domain::ports::{Authorization, Callers, Credentials, NotAuthenticated};
use tonic::Status;

use super::bearer;
use super::in_flight::{InFlight, Place};
use super::metadata;
use super::rpc::Rpc;
use super::without_caller::{CallsWithoutCaller, Room};
use crate::activity::{Activity, Busy};
use crate::peer_names::PeerNames;
use crate::status::{ToStatus as _, overloaded, overloaded_without_caller, role_missing};

/// Lets calls in. Nothing of a refused call's message is read.
#[derive(Clone)]
pub(super) struct Admission {
    callers: Arc<dyn Callers>,
    in_flight: InFlight,
    without_caller: CallsWithoutCaller,
}

/// Places that an admitted call holds until its answer is taken.
pub(super) struct Admitted {
    /// Its place among those of its caller; `None` where it needs no caller.
    pub(super) place: Option<Arc<Place>>,
    /// Keeps its connection from being evicted.
    _busy: Option<Busy>,
    /// The room of a call that needs no caller.
    _room: Option<Room>,
}

/// A call that is refused.
pub(super) struct RefusedCall {
    /// Caller, as far as it is known.
    pub(super) caller: Option<CallerName>,
    /// Status of the refusal.
    pub(super) status: Status,
}

impl Admission {
    /// Lets in the callers that `callers` know.
    pub(super) fn new(callers: Arc<dyn Callers>) -> Self {
        Self { callers, in_flight: InFlight::default(), without_caller: CallsWithoutCaller::new() }
    }

    /// Admits or refuses a call of `rpc`. Takes its token away.
    pub(super) fn admit<B>(
        &self,
        rpc: Rpc,
        request: &mut Request<B>,
    ) -> Result<Admitted, RefusedCall> {
        metadata::check(request.headers())
            .map_err(|status| RefusedCall { caller: None, status })?;
        let bearer = bearer::take(request.headers_mut());
        let Some(roles) = rpc.roles() else {
            let room = self.without_caller.enter(request.uri().path(), request.extensions().get());
            let refused = || RefusedCall { caller: None, status: overloaded_without_caller() };
            let room = room.ok_or_else(refused)?;
            return Ok(Admitted { place: None, _busy: None, _room: Some(room) });
        };
        let authorization = match &bearer {
            Ok(Some(token)) => Authorization::Bearer(token),
            Ok(None) => Authorization::Absent,
            Err(_) => Authorization::Malformed,
        };
        let certificate_names = request.extensions().get().map(PeerNames::as_slice);
        let caller = self.callers.authenticate(Credentials {
            authorization,
            certificate_names: certificate_names.unwrap_or_default(),
        })?;
        let refuse = |status| RefusedCall { caller: Some(caller.name.clone()), status };
        if !caller.has_any(roles) {
            return Err(refuse(role_missing(rpc.name(), roles)));
        }
        let place = self.in_flight.enter(&caller).ok_or_else(|| refuse(overloaded()))?;
        let busy = request.extensions().get().map(Activity::begin);
        Ok(Admitted { place: Some(Arc::new(place)), _busy: busy, _room: None })
    }
}

impl From<NotAuthenticated> for RefusedCall {
    fn from(error: NotAuthenticated) -> Self {
        Self { status: error.to_status(), caller: error.caller().cloned() }
    }
}
