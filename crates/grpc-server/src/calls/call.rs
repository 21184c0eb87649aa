//! One call from its arrival to its answer, and its line in the log.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use ig_domain::{AccountId, CallerName, Owner};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tracing::Span;

use super::context::Context;
use super::in_flight::Place;
use super::refusals::{Kind, Refusals};
use super::request_id::{RequestIdHeader, RequestIds};
use super::rpc::Rpc;
use crate::chain::Chain;
use crate::status::Reason;

/// A call under way.
pub(super) struct Call {
    rpc: Rpc,
    id: RequestIdHeader,
    /// Address of its peer; `None` without a connection.
    peer: Option<SocketAddr>,
    refusals: Refusals,
    /// `None` where the call needs no caller, or where it was refused.
    context: Option<Context>,
    /// Caller whose call was refused, as far as it is known.
    refused: Option<CallerName>,
    arrival: Instant,
    ended: bool,
}

/// Writes a call's line.
macro_rules! log_call {
    ($level:ident, $call:expr, $reason:expr, $($rest:tt)+) => {
        tracing::$level!(
            rpc = $call.rpc.name(),
            caller = $call.caller(),
            account.id = $call.account().map(tracing::field::display),
            reason = $reason,
            elapsed_ms = $call.elapsed_ms(),
            request_id = $call.id.as_str(),
            $($rest)+
        )
    };
}

/// Writes the line of a call that is refused, with its peer and the owner that it asked for.
macro_rules! log_refusal {
    ($level:ident, $call:expr, $reason:expr, $($rest:tt)*) => {
        log_call!(
            $level,
            $call,
            $reason,
            peer = $call.peer.map(tracing::field::display),
            owner = $call.owner(),
            $($rest)*
            "call refused"
        )
    };
}

impl Call {
    /// Begins a call. Repeated refusals are summed up by `refusals`.
    pub(super) fn begin<B>(
        request: &Request<B>,
        request_ids: &RequestIds,
        refusals: &Refusals,
    ) -> Self {
        Self {
            rpc: Rpc::of_path(request.uri().path()),
            id: RequestIdHeader::of(request.headers(), request_ids),
            peer: request.extensions().get().copied(),
            refusals: refusals.clone(),
            context: None,
            refused: None,
            arrival: Instant::now(),
            ended: false,
        }
    }

    /// The RPC that it is for.
    pub(super) fn rpc(&self) -> Rpc {
        self.rpc
    }

    /// Sets the caller, and gives the handler its context.
    pub(super) fn is_made_by<B>(&mut self, place: Arc<Place>, request: &mut Request<B>) {
        let context = Context::of(place, self.id.clone());
        request.extensions_mut().insert(context.clone());
        self.context = Some(context);
    }

    /// Sets the caller whose call is refused, as far as it is known.
    pub(super) fn is_refused(&mut self, caller: Option<CallerName>) {
        self.refused = caller;
    }

    /// Span of all that is logged during the call.
    pub(super) fn span(&self) -> Span {
        tracing::debug_span!("call", rpc = self.rpc.name(), request_id = self.id.as_str())
    }

    /// Logs the answer and marks it with the request id.
    pub(super) fn end(mut self, mut response: Response<Body>) -> Response<Body> {
        self.ended = true;
        match response.extensions_mut().remove::<Status>() {
            None => self.log_success(),
            Some(status) => {
                self.log_failure(&status);
                response = self.id.signed(status).into_http();
            }
        }
        self.id.mark(response.headers_mut());
        response
    }

    fn log_success(&self) {
        if self.rpc.writes() {
            log_call!(info, self, "OK", "call answered");
        } else {
            log_call!(debug, self, "OK", "call answered");
        }
    }

    fn log_failure(&self, status: &Status) {
        let info = status.get_details_error_info();
        let code = format!("{:?}", status.code());
        let reason = info.as_ref().map_or(code.as_str(), |info| info.reason.as_str());
        let because = info.as_ref().and_then(|info| info.metadata.get("cause"));
        let app = Reason::AppMisconfigured.as_str();
        let app_refused = reason == app || because.is_some_and(|because| because == app);
        let facts = info.as_ref().map(|info| &info.metadata).filter(|facts| !facts.is_empty());
        let facts = facts.map(tracing::field::debug);
        let cause = status.source().map(|cause| Chain(cause).to_string());
        match status.code() {
            Code::Internal if cause.is_some() => {
                let error = cause.map(tracing::field::display);
                log_call!(error, self, reason, facts, error, "call failed");
            }
            // The one refusal that only the operator can mend.
            _ if app_refused => log_refusal!(warn, self, reason, facts,),
            code if self.is_summed_up(code) && !self.is_first(reason) => {
                log_refusal!(debug, self, reason, facts, error = cause,);
            }
            Code::Unauthenticated | Code::PermissionDenied => {
                log_refusal!(warn, self, reason, facts, error = cause,);
            }
            _ if self.rpc.writes() || reason == Reason::Overloaded.as_str() => {
                log_refusal!(info, self, reason, facts,);
            }
            _ => log_refusal!(debug, self, reason, error = cause,),
        }
    }

    /// Whether such refusals are summed up: they came before a handler, or the caller lacks the right.
    fn is_summed_up(&self, code: Code) -> bool {
        self.context.is_none() || code == Code::PermissionDenied
    }

    fn is_first(&self, reason: &str) -> bool {
        let context = self.context.as_ref().map(|context| &context.caller().name);
        self.refusals.is_first(Kind {
            peer: self.peer.map(|peer| peer.ip()),
            caller: context.or(self.refused.as_ref()).cloned(),
            reason: reason.to_owned(),
        })
    }

    pub(super) fn caller(&self) -> Option<&str> {
        let caller = self.context.as_ref().map(|context| &context.caller().name);
        caller.or(self.refused.as_ref()).map(CallerName::as_str)
    }

    fn account(&self) -> Option<AccountId> {
        self.context.as_ref().and_then(Context::account)
    }

    /// The owner that the request names, as far as it was read.
    fn owner(&self) -> Option<&str> {
        self.context.as_ref().and_then(Context::named_owner).map(Owner::as_str)
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.arrival.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Call {
    /// A call that is dropped before its end was given up by its caller, or cut by a stop.
    fn drop(&mut self) {
        if !self.ended && self.rpc.writes() {
            log_call!(info, self, "CANCELLED", "call ended without an answer");
        }
    }
}
