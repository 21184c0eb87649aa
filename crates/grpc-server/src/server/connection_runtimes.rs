//! The runtimes that connections are served on.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::busy_polling::poll_for_calls;
use super::gathered_wakes::gather_wakes;

/// Runtimes of a single thread each, one for every core, that connections are served on; none in the default, where
/// connections are served on the runtime of the server.
///
/// Such a runtime polls a connection once all of its calls that have waited and are ready have had their turn, or a few
/// of those that other threads woke, so that their answers leave in one write; a runtime of several threads polls it
/// after each of them. Nothing may block there, or compute for long: all that is on the same core would wait.
#[derive(Default)]
pub struct ConnectionRuntimes {
    runtimes: Vec<ConnectionRuntime>,
    /// Waits for their threads.
    threads: TaskTracker,
}

/// A runtime whose thread ends when this is dropped.
struct ConnectionRuntime {
    handle: Handle,
    /// Counts the connections on it: one more than there are.
    connections: Arc<()>,
    _stop: oneshot::Sender<Infallible>,
}

impl ConnectionRuntimes {
    /// Starts a runtime for each core that the process may use.
    ///
    /// # Errors
    ///
    /// [`io::Error`] when the system gives no thread or no poll.
    pub fn start() -> io::Result<Self> {
        Self::start_some(thread::available_parallelism()?.get())
    }

    fn start_some(number: usize) -> io::Result<Self> {
        let threads = TaskTracker::new();
        let start = |number| ConnectionRuntime::start(number, threads.token());
        let runtimes = (0..number).map(start).collect::<io::Result<_>>()?;
        Ok(Self { runtimes, threads })
    }

    /// Serves a connection, as one of `tasks`, where the fewest are.
    pub(super) fn spawn(
        &self,
        tasks: &TaskTracker,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        let connections = |runtime: &&ConnectionRuntime| Arc::strong_count(&runtime.connections);
        let Some(runtime) = self.runtimes.iter().min_by_key(connections) else {
            tasks.spawn(connection);
            return;
        };
        let counted = Arc::clone(&runtime.connections);
        let connection = async move {
            connection.await;
            drop(counted);
        };
        tasks.spawn_on(connection, &runtime.handle);
    }

    /// Ends the runtimes, with all that runs there, and waits for it.
    pub(super) async fn end(self) {
        let Self { runtimes, threads } = self;
        drop(runtimes);
        threads.close();
        threads.wait().await;
    }
}

impl ConnectionRuntime {
    /// Starts one; `alive` lives as long as its thread.
    fn start(number: usize, alive: TaskTrackerToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new().name(format!("connections-{number}")).spawn(move || {
            runtime.spawn(gather_wakes());
            runtime.spawn(poll_for_calls());
            let _dropped = runtime.block_on(stopped);
            drop(runtime);
            drop(alive);
        })?;
        Ok(Self { handle, connections: Arc::default(), _stop: stop })
    }
}
