//! Bodies of requests, read within bounds of size, time and memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Maximum time from the head of a request to the end of its body. Ours.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size in bytes of a body that takes no large place.
const MAX_SMALL_BODY: usize = 64 * 1024;

/// Maximum number of larger bodies that are held at once.
const MAX_LARGE_BODIES: usize = 16;

/// Maximum time in which a body that is refused is read on.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of bytes of a body that is refused that are read on.
const MAX_DRAINED: usize = 1024 * 1024;

/// Places of the bodies that are large. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct LargePlaces(Arc<Semaphore>);

impl Default for LargePlaces {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LARGE_BODIES)))
    }
}

/// A body, with the place that it takes until it is dropped.
#[derive(Debug)]
pub(crate) struct ReadBody {
    bytes: Vec<u8>,
    place: Option<OwnedSemaphorePermit>,
}

impl ReadBody {
    /// The bytes, exactly as they came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is longer than allowed.
    TooLarge,
    /// It did not end in time.
    TooSlow,
    /// The connection broke, or the body's encoding did.
    Broken,
    /// All places of large bodies are taken.
    NoPlace,
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::NoPlace => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::close(status)
    }
}

impl BodyError {
    /// The answer to a request whose body was not read: the rest of it is not read as another request.
    pub(crate) fn close(status: StatusCode) -> Response {
        (status, [(CONNECTION, "close")]).into_response()
    }
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
///
/// [`BodyError`].
pub(crate) async fn read(
    mut body: Body,
    limit: usize,
    places: &LargePlaces,
) -> Result<ReadBody, BodyError> {
    let read = timeout(BODY_TIMEOUT, collect(&mut body, limit, places)).await;
    let read = read.unwrap_or(Err(BodyError::TooSlow));
    if read.is_err() {
        discard(body).await;
    }
    read
}

/// Reads on for a short while, and keeps nothing: a connection that is closed before all was read is reset, and the
/// client would lose its answer.
pub(crate) async fn discard(mut body: Body) {
    let _ = timeout(DRAIN_TIMEOUT, drain(&mut body)).await;
}

async fn collect(
    body: &mut Body,
    limit: usize,
    places: &LargePlaces,
) -> Result<ReadBody, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(BodyError::TooLarge);
    }
    let mut read = ReadBody { bytes: Vec::new(), place: None };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        let length = read.bytes.len() + data.len();
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        if length > MAX_SMALL_BODY && read.place.is_none() {
            let place = Arc::clone(&places.0).try_acquire_owned();
            read.place = Some(place.map_err(|_| BodyError::NoPlace)?);
        }
        read.bytes.extend_from_slice(&data);
    }
    Ok(read)
}

/// Reads on, up to a limit, and keeps nothing.
async fn drain(body: &mut Body) {
    let mut drained = 0;
    while let Some(Ok(frame)) = body.frame().await {
        drained += frame.data_ref().map_or(0, Bytes::len);
        if drained > MAX_DRAINED {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::{StreamExt as _, stream};

    use super::*;

    /// A body that does not say how long it is.
    fn chunked(chunks: usize, size: usize) -> Body {
        let chunks = (0..chunks).map(move |_| Ok::<_, io::Error>(vec![b'x'; size]));
        Body::from_stream(stream::iter(chunks))
    }

    async fn length(body: Body, limit: usize) -> Result<usize, BodyError> {
        let read = read(body, limit, &LargePlaces::default()).await;
        read.map(|read| read.bytes().len())
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_whether_it_says_its_length_or_not() {
        assert_eq!(length(Body::from(vec![0; 100]), 100).await, Ok(100));
        assert_eq!(length(Body::from(vec![0; 101]), 100).await, Err(BodyError::TooLarge));
        assert_eq!(length(chunked(10, 10), 100).await, Ok(100));
        assert_eq!(length(chunked(11, 10), 100).await, Err(BodyError::TooLarge));
        assert_eq!(length(Body::empty(), 100).await, Ok(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up() {
        let begun = tokio::time::Instant::now();
        let endless = stream::iter([Ok::<_, io::Error>(vec![0])]).chain(stream::pending());
        assert_eq!(length(Body::from_stream(endless), 100).await, Err(BodyError::TooSlow));
        assert_eq!(begun.elapsed(), BODY_TIMEOUT + DRAIN_TIMEOUT);
    }

    #[tokio::test]
    async fn a_body_without_an_end_is_read_on_within_bounds() {
        let endless = stream::repeat_with(|| Ok::<_, io::Error>(vec![0; 1024]));
        assert_eq!(length(Body::from_stream(endless), 100).await, Err(BodyError::TooLarge));
    }

    #[tokio::test]
    async fn a_broken_body_is_no_body() {
        let broken = stream::iter([Ok(vec![0]), Err(io::Error::other("reset"))]);
        assert_eq!(length(Body::from_stream(broken), 100).await, Err(BodyError::Broken));
    }

    #[tokio::test]
    async fn large_bodies_have_a_number_of_places_and_small_ones_need_none() {
        let (places, limit) = (LargePlaces::default(), 2 * MAX_SMALL_BODY);
        let body = |size| read(Body::from(vec![0; size]), limit, &places);
        let mut held = Vec::new();
        for _ in 0..MAX_LARGE_BODIES {
            held.push(body(MAX_SMALL_BODY + 1).await.unwrap());
        }
        assert_eq!(body(MAX_SMALL_BODY + 1).await.unwrap_err(), BodyError::NoPlace);
        assert!(body(MAX_SMALL_BODY).await.is_ok());
        held.pop();
        assert!(body(MAX_SMALL_BODY + 1).await.is_ok());
    }

    #[test]
    fn a_body_that_was_not_read_ends_its_connection() {
        for (error, status) in [
            (BodyError::TooLarge, 413),
            (BodyError::TooSlow, 408),
            (BodyError::Broken, 400),
            (BodyError::NoPlace, 503),
        ] {
            let response = error.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[CONNECTION], "close");
        }
    }
}
