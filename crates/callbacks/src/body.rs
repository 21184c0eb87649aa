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

/// Size in bytes up to which a body takes nothing of the memory that all share.
const MAX_SMALL_BODY: usize = 64 * 1024;

/// Maximum size in bytes of the rest of all bodies that are held at once.
const MAX_SHARED_MEMORY: usize = 64 * 1024 * 1024;

/// Size in bytes in which the shared memory is given out.
const MEMORY_UNIT: usize = 64 * 1024;

/// Maximum time in which a body that is refused is read on.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of bytes of a body that is refused that are read on.
const MAX_DRAINED: usize = 1024 * 1024;

/// Memory of the bodies that are large, which they take as they come: one that comes slowly keeps no others out. Clones
/// share it.
#[derive(Clone, Debug)]
pub(crate) struct BodyMemory(Arc<Semaphore>);

impl Default for BodyMemory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_SHARED_MEMORY / MEMORY_UNIT)))
    }
}

impl BodyMemory {
    /// Takes the memory of a body that has grown to `length` bytes, beside what is `held` for it; `false` where there is
    /// not so much.
    fn grow(&self, held: &mut Option<OwnedSemaphorePermit>, length: usize) -> bool {
        let needed = length.saturating_sub(MAX_SMALL_BODY).div_ceil(MEMORY_UNIT);
        let missing = needed - held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Ok(missing) = u32::try_from(missing) else { return false };
        let Ok(more) = Arc::clone(&self.0).try_acquire_many_owned(missing) else { return false };
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        true
    }
}

/// A body, with the shared memory that it takes until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct ReadBody {
    bytes: Vec<u8>,
    held: Option<OwnedSemaphorePermit>,
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
    /// The memory of large bodies is taken.
    NoMemory,
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::NoMemory => StatusCode::SERVICE_UNAVAILABLE,
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
    memory: &BodyMemory,
) -> Result<ReadBody, BodyError> {
    let read = timeout(BODY_TIMEOUT, collect(&mut body, limit, memory)).await;
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
    memory: &BodyMemory,
) -> Result<ReadBody, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(BodyError::TooLarge);
    }
    let mut read = ReadBody::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        let length = read.bytes.len() + data.len();
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        if !memory.grow(&mut read.held, length) {
            return Err(BodyError::NoMemory);
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
        let read = read(body, limit, &BodyMemory::default()).await;
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
    async fn large_bodies_share_memory_and_small_ones_need_none() {
        const LARGE: usize = 4 * 1024 * 1024;
        let memory = BodyMemory::default();
        let body = |size| read(Body::from(vec![0; size]), LARGE, &memory);
        let mut held = Vec::new();
        for _ in 0..MAX_SHARED_MEMORY / LARGE {
            held.push(body(LARGE).await.unwrap());
        }
        assert_eq!(body(LARGE).await.unwrap_err(), BodyError::NoMemory);
        assert!(body(MAX_SMALL_BODY).await.is_ok());
        held.pop();
        assert!(body(LARGE).await.is_ok());
    }

    /// A sender without a right to cannot keep the batches of Instagram out by sending slowly.
    #[tokio::test(start_paused = true)]
    async fn slow_bodies_take_no_more_memory_than_has_come() {
        let memory = BodyMemory::default();
        let begun = || {
            let first = stream::iter([Ok::<_, io::Error>(vec![0; MAX_SMALL_BODY + 1])]);
            read(Body::from_stream(first.chain(stream::pending())), usize::MAX, &memory)
        };
        let slow = futures_util::future::join_all((0..900).map(|_| begun()));
        let large = read(Body::from(vec![0; 4 * 1024 * 1024]), usize::MAX, &memory);
        let (slow, large) = tokio::join!(slow, large);
        assert!(large.is_ok());
        assert!(slow.into_iter().all(|slow| slow.err() == Some(BodyError::TooSlow)));
    }

    #[test]
    fn a_body_that_was_not_read_ends_its_connection() {
        for (error, status) in [
            (BodyError::TooLarge, 413),
            (BodyError::TooSlow, 408),
            (BodyError::Broken, 400),
            (BodyError::NoMemory, 503),
        ] {
            let response = error.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[CONNECTION], "close");
        }
    }
}
