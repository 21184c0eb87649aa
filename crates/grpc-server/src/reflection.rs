//! Reflection: tells clients of the files that are served.

mod files;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::unfold;
use http::Uri;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Request, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_server::ServerReflection;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tower::Service;

pub(crate) use self::files::Files;

/// Idle time after which a stream ends. Clients begin another one when they need it.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// The method of version 1.
const METHOD: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// The same method of version 1alpha.
const ALPHA_METHOD: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// The reflection service, version 1.
pub(crate) struct Reflection {
    files: Arc<Files>,
    stop: CancellationToken,
}

impl Reflection {
    /// Answers from `files`; `stop` ends its streams.
    pub(crate) fn new(files: Files, stop: CancellationToken) -> Self {
        Self { files: Arc::new(files), stop }
    }
}

#[tonic::async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream =
        Pin<Box<dyn Stream<Item = Result<ServerReflectionResponse, Status>> + Send>>;

    /// Reads a request only once the answer to the one before is taken.
    async fn server_reflection_info(
        &self,
        request: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let state = (request.into_inner(), Arc::clone(&self.files), self.stop.clone());
        let answers = unfold(state, async |(mut requests, files, stop)| {
            // Questions asked before the stop are still answered.
            let next = tokio::select! {
                biased;
                next = tokio::time::timeout(IDLE_TIMEOUT, requests.next()) => next.ok().flatten(),
                () = stop.cancelled() => None,
            };
            let answer = next?.map(|request| files.answer(request));
            Some((answer, (requests, files, stop)))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Version 1 under the name of version 1alpha, whose messages are the same byte for byte.
#[derive(Clone)]
pub(crate) struct Alpha<S>(pub(crate) S);

impl<S> NamedService for Alpha<S> {
    const NAME: &'static str = "grpc.reflection.v1alpha.ServerReflection";
}

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for Alpha<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> S::Future {
        if request.uri().path() == ALPHA_METHOD {
            *request.uri_mut() = Uri::from_static(METHOD);
        }
        self.0.call(request)
    }
}
