//! The layer that every call passes: whether it is gRPC, who calls and may it, request id, deadline, panics, the log and
//! what is counted.

mod admission;
mod bearer;
mod call;
mod context;
mod deadline;
mod in_flight;
mod metadata;
mod outcome;
mod protocol;
mod request_id;
mod rpc;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use ig_domain::ports::Callers;
use tonic::body::Body;
use tower::Service;
use tracing::Instrument as _;

use self::admission::{Admission, Held, Refused};
use self::call::Call;
pub(crate) use self::context::Context;
pub(crate) use self::outcome::Ended;
pub use self::request_id::RequestIds;
pub(crate) use self::rpc::Rpc;
use crate::meters::ServerMeters;
use crate::status::internal;

/// Answers calls through `inner`.
#[derive(Clone)]
pub(crate) struct Calls<S> {
    inner: S,
    admission: Admission,
    request_ids: RequestIds,
    meters: ServerMeters,
}

/// A handler panicked; the panic hook has said where.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
struct Panicked;

impl<S> Calls<S> {
    /// Calls to `inner` by whom `callers` know, counted by `meters`; those without a request id get one from
    /// `request_ids`.
    pub(crate) fn new(
        inner: S,
        callers: Arc<dyn Callers>,
        request_ids: RequestIds,
        meters: ServerMeters,
    ) -> Self {
        Self { inner, admission: Admission::new(callers), request_ids, meters }
    }
}

impl<S, B> Service<Request<B>> for Calls<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(response) = protocol::refusal(&request) {
            tracing::debug!(status = %response.status(), "request refused: it is not gRPC");
            return Box::pin(std::future::ready(Ok(response)));
        }
        // The time runs from here on, not from whenever the runtime first polls.
        let limit = deadline::limit(request.headers());
        let passed = tokio::time::sleep(limit);
        let mut call = Call::begin(&request, &self.request_ids);
        let metered = self.meters.rpcs.begin(call.rpc());
        let span = call.span();
        let held = match self.admission.admit(call.rpc(), &mut request) {
            Ok(admitted) => admitted.inspect(|held| {
                call.is_made_by(Arc::clone(&held.0), &mut request);
            }),
            Err(Refused { caller, status }) => {
                call.is_refused(caller);
                let response = status.into_http();
                metered.end(Ended::of(&response));
                let response = span.in_scope(|| call.end(response));
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        let tokens = (call.rpc() == Rpc::FetchAccessToken).then(|| self.meters.tokens.clone());
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        let answered = async move {
            // A stream has its head at once, so only the way to it has a deadline.
            let response = tokio::select! {
                biased;
                answer = answer => match answer {
                    Ok(Ok(response)) => response,
                    Err(_) => internal(Panicked).into_http(),
                },
                () = passed => deadline::exceeded(limit).into_http(),
            };
            let ended = Ended::of(&response);
            metered.end(ended);
            if let (Some(tokens), true, Some(caller)) = (tokens, ended.is_ok(), call.caller()) {
                tokens.count(caller);
            }
            Ok(holding(held, call.end(response)))
        };
        Box::pin(answered.instrument(span))
    }
}

/// The response, whose call holds what it holds until the client has taken all of it.
fn holding(held: Option<Held>, response: Response<Body>) -> Response<Body> {
    let Some(held) = held else { return response };
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _until_the_last = &held;
            frame
        }))
    })
}
