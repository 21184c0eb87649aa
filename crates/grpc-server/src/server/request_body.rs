//! The body of a request, which is read to its end though the call is answered early.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

use super::http2::STREAM_WINDOW;

/// Time that the rest of a body may take to arrive.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// A request's body. When it is dropped, its rest is read and discarded, within bounds.
///
/// A stream whose client still sends would be reset instead, and soon forgotten; what then still arrives for it can end
/// the whole connection.
pub(super) struct RequestBody(Option<Incoming>);

impl RequestBody {
    /// The body as it comes.
    pub(super) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let unread = self.0.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (unread, Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(DISCARD_TIMEOUT, discard(body)));
        }
    }
}

/// Reads until the body ends, or until it has had as much as a request may.
async fn discard(mut body: Incoming) {
    let mut left = STREAM_WINDOW as usize;
    while let Some(Ok(frame)) = body.frame().await {
        let size = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(size) else { return };
        left = rest;
    }
}
