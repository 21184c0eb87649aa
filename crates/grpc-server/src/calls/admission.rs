//! Admission of calls: the caller, its rights, and its room for one more call.

use std::sync::Arc;

use http::Request;
use ig_domain::CallerName;
use ig_domain::ports::{Callers, NotAuthenticated};
use ig_metrics::{Gauge, GaugeGuard};
use tonic::Status;

use super::credentials::CallCredentials;
use super::in_flight::{InFlight, Place};
use super::metadata;
use super::rpc::Rpc;
use super::stream_rights::StreamCredentials;
use super::without_caller::{CallsWithoutCaller, Room};
use crate::activity::{Activity, Busy};
use crate::status::{
    ToStatus as _, overloaded, overloaded_without_caller, role_missing, too_many_streams,
};

/// Lets calls in. Nothing of a refused call's message is read.
#[derive(Clone)]
pub(super) struct Admission {
    callers: Arc<dyn Callers>,
    in_flight: InFlight,
    without_caller: CallsWithoutCaller,
    /// Counts streams of callers.
    streams: Gauge,
}

/// Places that an admitted call holds until its answer is taken.
#[derive(Default)]
pub(super) struct Admitted {
    /// Its place among those of its caller; `None` where it needs no caller.
    pub(super) place: Option<Arc<Place>>,
    /// Keeps its connection from being evicted.
    _busy: Option<Busy>,
    /// The room of a call that needs no caller.
    _room: Option<Room>,
    /// Counts it among the streams of callers, where it is one.
    _counted: Option<GaugeGuard>,
}

/// A call that is refused.
pub(super) struct RefusedCall {
    /// Caller, as far as it is known.
    pub(super) caller: Option<CallerName>,
    /// Status of the refusal.
    pub(super) status: Status,
}

impl Admission {
    /// Lets in the callers that `callers` know; `streams` counts their streams.
    pub(super) fn new(callers: Arc<dyn Callers>, streams: Gauge) -> Self {
        let (in_flight, without_caller) = (InFlight::default(), CallsWithoutCaller::new());
        Self { callers, in_flight, without_caller, streams }
    }

    /// Admits or refuses a call of `rpc`. Takes its token away.
    pub(super) fn admit<B>(
        &self,
        rpc: Rpc,
        request: &mut Request<B>,
    ) -> Result<Admitted, RefusedCall> {
        metadata::check(request.headers())
            .map_err(|status| RefusedCall { caller: None, status })?;
        let credentials = CallCredentials::take(request);
        let Some(roles) = rpc.roles() else {
            let room = self.without_caller.enter(request.uri().path(), request.extensions().get());
            let refused = || RefusedCall { caller: None, status: overloaded_without_caller() };
            let room = room.ok_or_else(refused)?;
            return Ok(Admitted { _room: Some(room), ..Admitted::default() });
        };
        let caller = credentials.authenticate(self.callers.as_ref())?;
        let refuse = |status| RefusedCall { caller: Some(caller.name.clone()), status };
        if !caller.has_any(roles) {
            return Err(refuse(role_missing(rpc)));
        }
        let place = if rpc.lasts() {
            let end = request.extensions().get().copied();
            let kept = StreamCredentials::new(credentials, Arc::clone(&self.callers), end);
            request.extensions_mut().insert(kept);
            self.in_flight.enter_stream(&caller).ok_or_else(|| refuse(too_many_streams()))?
        } else {
            self.in_flight.enter(&caller).ok_or_else(|| refuse(overloaded()))?
        };
        let busy = request.extensions().get().map(Activity::begin);
        let counted = rpc.lasts().then(|| self.streams.hold());
        let place = Some(Arc::new(place));
        Ok(Admitted { place, _busy: busy, _counted: counted, ..Admitted::default() })
    }
}

impl From<NotAuthenticated> for RefusedCall {
    fn from(error: NotAuthenticated) -> Self {
        Self { status: error.to_status(), caller: error.caller().cloned() }
    }
}
