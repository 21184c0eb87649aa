//! The connections: how many, how they are kept, and how they end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use super::greeting::greeted;
use crate::calls::Calls;

/// How many connections there may be at once; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 1024;

/// How many calls one connection may carry at once.
const MOST_STREAMS: u32 = 256;

/// How large a request's metadata may be, in bytes.
const LARGEST_METADATA: u32 = 16 * 1024;

/// After how much silence a client is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_mins(1);

/// How long it may take to say so.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait after a connection could not be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// All connections of a server.
pub(super) struct Connections {
    service: Calls<Routes>,
    http: Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Lets connections finish their calls and close.
    closing: CancellationToken,
    /// Ends them at once.
    cut: CancellationToken,
}

impl Connections {
    /// Connections whose calls `service` answers, at most [`MOST_CONNECTIONS`] at once.
    pub(super) fn new(service: Calls<Routes>) -> Self {
        Self::at_most(MOST_CONNECTIONS, service)
    }

    fn at_most(limit: usize, service: Calls<Routes>) -> Self {
        let mut http = Builder::new(TokioExecutor::new()).http2_only();
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MOST_STREAMS)
            .max_header_list_size(LARGEST_METADATA)
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        Self {
            service,
            http,
            places: Arc::new(Semaphore::new(limit)),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Takes connections from `listener` until `shutdown` is ready, and closes it.
    pub(super) async fn accept(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let accepting = async {
            while let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
                match listener.accept().await {
                    Ok((stream, _)) => self.open(stream, place),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = shutdown => {}
            () = accepting => {}
        }
    }

    /// Lets calls under way finish within `limit`, then cuts what is left.
    pub(super) async fn drain(self, limit: Duration) {
        self.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "calls took too long to finish; cut");
            self.cut.cancel();
            self.tasks.wait().await;
        }
    }

    fn open(&self, stream: TcpStream, place: OwnedSemaphorePermit) {
        let (service, http) = (self.service.clone(), self.http.clone());
        let (closing, cut) = (self.closing.clone(), self.cut.clone());
        self.tasks.spawn(async move {
            cut.run_until_cancelled(connection(stream, service, http, closing)).await;
            drop(place);
        });
    }
}

/// Serves one connection until its client leaves, or until `closing` and its last call.
async fn connection(
    stream: TcpStream,
    service: Calls<Routes>,
    http: Builder<TokioExecutor>,
    closing: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small packets of a connection will be late");
    }
    let stream = match closing.run_until_cancelled(greeted(stream)).await {
        Some(Ok(stream)) => stream,
        Some(Err(error)) => return tracing::debug!(%error, "a connection sent no greeting"),
        None => return,
    };
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection broke");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What an HTTP/2 client begins with: its preface and empty settings.
    const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

    #[tokio::test(start_paused = true)]
    async fn a_connection_beyond_the_limit_waits_for_a_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Calls::new(Routes::default(), Arc::new(String::new));
        let connections = Connections::at_most(1, calls);
        tokio::spawn(async move { connections.accept(listener, std::future::pending()).await });
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(GREETING).await.unwrap();
        first.read_u8().await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(GREETING).await.unwrap();
        let early = tokio::time::timeout(Duration::from_secs(5), second.read_u8()).await;
        assert!(early.is_err(), "the only place is taken");
        drop(first);
        second.read_u8().await.unwrap();
    }
}
