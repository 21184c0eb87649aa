//! Limit of calls under way that need no caller: health, reflection, and paths that nobody serves.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::activity::{Activity, WithoutCaller};

/// Maximum number of streams per connection that need no caller, and of such calls that are answered once. A proxy's
/// connection carries those of several clients.
const MAX_PER_CONNECTION: usize = 32;

/// Maximum number of such streams in all. They last as long as their client likes.
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

    /// Room for one more of this path on this connection, if there is. Streams and calls that are answered once are
    /// counted apart: streams that are left open keep nobody from `Check`.
    pub(super) fn enter(&self, path: &str, connection: Option<&Activity>) -> Option<Room> {
        let is_stream = is_stream(path);
        let one = match connection {
            Some(connection) => {
                Some(connection.begin_without_caller(is_stream, MAX_PER_CONNECTION)?)
            }
            None => None,
        };
        let stream = if is_stream {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Activities;

    /// Rooms that calls of these paths find on a connection, in turn, beside those that are taken.
    fn fill(calls: &CallsWithoutCaller, connection: &Activity, paths: &[&str]) -> Vec<Room> {
        let paths = paths.iter().cycle();
        paths.map_while(|path| calls.enter(path, Some(connection))).take(1000).collect()
    }

    #[test]
    fn streams_have_room_of_their_own_and_what_nobody_serves_takes_that_of_checks() {
        const WATCH: &str = "/grpc.health.v1.Health/Watch";
        const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        const CHECK: &str = "/grpc.health.v1.Health/Check";
        let (calls, connection) = (CallsWithoutCaller::new(), Activities::default().enter());
        let streams = fill(&calls, &connection, &[WATCH, REFLECTION]);
        let others = fill(&calls, &connection, &[CHECK, "/no.Service/Method"]);
        assert_eq!((streams.len(), others.len()), (32, 32));
        drop(streams);
        assert!(
            calls.enter(CHECK, Some(&connection)).is_none(),
            "streams give their own room back"
        );
        assert_eq!(fill(&calls, &connection, &[WATCH]).len(), 32);
        drop(others);
        assert_eq!(fill(&calls, &connection, &[CHECK]).len(), 32);
    }
}
