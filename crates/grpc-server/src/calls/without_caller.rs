//! How many calls that need no caller may be under way: health, reflection, and what nobody serves.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::activity::{Activity, WithoutCaller};

/// Maximum number of such calls per connection. A proxy's connection carries those of several clients.
const MAX_PER_CONNECTION: usize = 32;

/// Maximum number of streams among them, in all. They last as long as their client likes.
const MAX_STREAMS: usize = 1024;

/// The calls under way that need no caller. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct CallsWithoutCaller {
    streams: Arc<Semaphore>,
}

/// The room that such a call takes, until it is dropped.
pub(super) type Room = (Option<WithoutCaller>, Option<OwnedSemaphorePermit>);

impl CallsWithoutCaller {
    /// None under way.
    pub(super) fn new() -> Self {
        Self { streams: Arc::new(Semaphore::new(MAX_STREAMS)) }
    }

    /// Room for one more of this path on this connection, if there is.
    pub(super) fn enter(&self, path: &str, connection: Option<&Activity>) -> Option<Room> {
        let one = match connection {
            Some(connection) => Some(connection.begin_without_caller(MAX_PER_CONNECTION)?),
            None => None,
        };
        let stream = if is_stream(path) {
            Some(Arc::clone(&self.streams).try_acquire_owned().ok()?)
        } else {
            None
        };
        Some((one, stream))
    }
}

/// Whether a call of this path may last.
pub(super) fn is_stream(path: &str) -> bool {
    path == "/grpc.health.v1.Health/Watch" || path.starts_with("/grpc.reflection.")
}
