//! Requests that end when the server stops, so that a stream which its client keeps open does not hold it up.

use futures_util::StreamExt as _;
use http::Request;
use http_body_util::{BodyStream, StreamBody};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

/// `request`, whose messages end with `stop`: what came before it is still answered.
pub(super) fn ending(request: Request<Body>, stop: CancellationToken) -> Request<Body> {
    request.map(|body| {
        let frames = BodyStream::new(body).take_until(stop.cancelled_owned());
        Body::new(StreamBody::new(frames))
    })
}
