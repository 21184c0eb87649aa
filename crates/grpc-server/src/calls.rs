//! The layer that every call passes: gRPC check, caller and rights, request id, deadline, panics, log and metrics.

mod admission;
mod bearer;
mod call;
mod context;
mod credentials;
mod deadline;
mod in_flight;
mod metadata;
mod outcome;
mod protocol;
mod refusals;
mod request_id;
mod rpc;
mod stream_rights;
mod without_caller;

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use ig_domain::ports::Callers;
use ig_metrics::{MeteredCall, NamedCounts};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tonic::body::Body;
use tower::Service;
use tracing::Instrument as _;

use self::admission::{Admission, Admitted, RefusedCall};
use self::call::Call;
pub(crate) use self::context::Context;
pub(crate) use self::in_flight::MAX_STREAMS;
pub(crate) use self::outcome::Ended;
pub(crate) use self::refusals::{Kind, Refusals};
pub use self::request_id::RequestIds;
pub(crate) use self::rpc::Rpc;
use crate::answer_timeout::{answered, part_of_stream};
use crate::encoded_answer::EncodedAnswer;
use crate::encoded_stream::EncodedStream;
use crate::meters::ServerMeters;
use crate::status::internal;

/// Answers calls through `inner`.
#[derive(Clone)]
pub(crate) struct Calls<S> {
    inner: S,
    /// One for all calls, which clone it.
    layer: Arc<Layer>,
}

/// What all calls share.
struct Layer {
    /// Runtime of the handlers that do not run with their connection.
    runtime: Handle,
    admission: Admission,
    request_ids: RequestIds,
    meters: ServerMeters,
    refusals: Refusals,
}

/// A handler panicked; the panic hook has said where.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
pub(crate) struct Panicked;

impl<S> Calls<S> {
    /// The layer around `inner` for the callers that `callers` know, counted by `meters`. Calls without a request id
    /// get one from `request_ids`. Repeated refusals are summed up by `refusals`. Handlers that do not run with their
    /// connection run on the current runtime.
    pub(crate) fn new(
        inner: S,
        callers: Arc<dyn Callers>,
        request_ids: RequestIds,
        meters: ServerMeters,
        refusals: Refusals,
    ) -> Self {
        let admission = Admission::new(callers, meters.watch_streams.clone());
        let runtime = Handle::current();
        let layer = Layer { runtime, admission, request_ids, meters, refusals };
        Self { inner, layer: Arc::new(layer) }
    }
}

impl Layer {
    /// Begins to time and count a call.
    fn begin<B>(&self, request: &Request<B>) -> Underway {
        let call = Call::begin(request, &self.request_ids, &self.refusals);
        let rpc = call.rpc();
        let tokens = (rpc == Rpc::FetchAccessToken).then(|| self.meters.tokens.clone());
        Underway { call, metered: self.meters.rpcs.begin(rpc), held: None, tokens }
    }

    /// The answer to a request that is not gRPC. It is logged, at INFO for the first one of its peer between summaries.
    fn refuse_if_not_grpc<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let response = protocol::refusal(request)?;
        let peer: Option<SocketAddr> = request.extensions().get().copied();
        let (reason, status) = ("NOT_GRPC", response.status());
        let kind =
            Kind { peer: peer.map(|peer| peer.ip()), caller: None, reason: reason.to_owned() };
        let peer = peer.map(tracing::field::display);
        if self.refusals.is_first(kind) {
            tracing::info!(peer, reason, %status, "request refused: it is not gRPC");
        } else {
            tracing::debug!(peer, reason, %status, "request refused: it is not gRPC");
        }
        Some(response)
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
        if let Some(response) = self.layer.refuse_if_not_grpc(&request) {
            return Box::pin(ready(Ok(response)));
        }
        // The time runs from here on, not from whenever the runtime first polls.
        let mut under_way = self.layer.begin(&request);
        let rpc = under_way.call.rpc();
        let limit = deadline::limit(request.headers(), rpc);
        let passed = tokio::time::sleep(limit);
        let is_stream = rpc.lasts() || without_caller::is_stream(request.uri().path());
        let span = under_way.call.span();
        match self.layer.admission.admit(rpc, &mut request) {
            Ok(held) => under_way.is_admitted(held, &mut request),
            Err(RefusedCall { caller, status }) => {
                under_way.call.is_refused(caller);
                let response = span.in_scope(|| under_way.end(status.into_http()));
                return Box::pin(ready(Ok(response)));
            }
        }
        let (answer, runtime) = (self.inner.call(request), self.layer.runtime.clone());
        let answer = async move {
            if rpc.runs_with_connection() {
                return AssertUnwindSafe(answer).catch_unwind().await.map_err(|_| Panicked);
            }
            let handler = runtime.spawn(part_of_stream(answer).in_current_span());
            AbortOnDropHandle::new(handler).await.map_err(|_| Panicked)
        };
        let answering = async move {
            // A stream has its head at once, so only the way to it has a deadline.
            let response = tokio::select! {
                biased;
                answer = answer => answer.unwrap_or_else(|panicked| Ok(internal(panicked).into_http()))?,
                () = passed => deadline::exceeded(limit).into_http(),
            };
            if !is_stream {
                answered();
            }
            let response = if rpc.lasts() {
                EncodedStream::put_into(response)
            } else {
                EncodedAnswer::put_into(response)
            };
            Ok(under_way.end(response))
        };
        Box::pin(answering.instrument(span))
    }
}

/// A call under way, with its metrics and the places that it holds.
struct Underway {
    call: Call,
    metered: MeteredCall<Rpc, Ended>,
    /// Places that it holds once it was let in.
    held: Option<Admitted>,
    /// Count of tokens handed out, where it is for one.
    tokens: Option<NamedCounts>,
}

impl Underway {
    fn is_admitted<B>(&mut self, held: Admitted, request: &mut Request<B>) {
        if let Some(place) = &held.place {
            self.call.is_made_by(Arc::clone(place), request);
        }
        self.held = Some(held);
    }

    /// Counts and logs the answer, which holds the places of its call until the client has taken all of it.
    fn end(self, response: Response<Body>) -> Response<Body> {
        let Self { call, metered, held, tokens } = self;
        let ended = Ended::of(&response);
        metered.end(ended);
        if let (Some(tokens), true, Some(caller)) = (tokens, ended.is_ok(), call.caller()) {
            tokens.count(caller);
        }
        let response = call.end(response);
        match held {
            Some(held) => holding(held, response),
            None => response,
        }
    }
}

/// The response, which keeps `held` until the client has taken all of it.
fn holding(held: Admitted, response: Response<Body>) -> Response<Body> {
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _until_the_last = &held;
            frame
        }))
    })
}
