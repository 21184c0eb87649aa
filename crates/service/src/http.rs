//! HTTP/1 within bounds: few connections, each with small heads and for a short while.

mod connections;

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::MapRequest;
use tracing::{debug, warn};

use self::connections::{Connections, Requested};

/// Maximum time from the beginning of a connection, or from its last answer, to the end of a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause after a connection could not be accepted, mostly for want of file descriptors.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Limits of what is served at one address.
#[derive(Clone, Copy)]
pub(crate) struct HttpLimits {
    /// Maximum number of open connections. A further one takes the place of another.
    pub(crate) max_connections: usize,
    /// Maximum size of a request's head, in bytes. The library takes no less than 8 KiB.
    pub(crate) max_head_size: usize,
    /// Whether a connection may bring several requests.
    pub(crate) keep_alive: bool,
    /// Time after which a connection takes no further request.
    pub(crate) max_lifetime: Duration,
    /// Maximum time from then on, or from a stop, to the end of the request that is under way.
    pub(crate) drain_timeout: Duration,
}

/// Answers the requests that come to `listener` by `routes` until `stop`. `tracker` waits for the connections.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    limits: HttpLimits,
    stop: CancellationToken,
    tracker: TaskTracker,
) {
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(limits.keep_alive)
        .max_buf_size(limits.max_head_size);
    let mut connections = Connections::new(limits.max_connections, tracker);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                let (http, routes, stop) = (http.clone(), routes.clone(), stop.clone());
                let answering = |requested| answer(stream, http, routes, limits, stop, requested);
                connections.open(answering).await;
                // Under a flood of connections, one that asks gets to be read before others can evict it.
                yield_now().await;
            }
            Err(error) => {
                warn!(%error, "an HTTP connection could not be accepted");
                stop.run_until_cancelled(sleep(ACCEPT_RETRY_INTERVAL)).await;
            }
        }
    }
}

/// Answers the requests of one connection, and notes that the first came.
async fn answer(
    stream: TcpStream,
    http: Builder<TokioExecutor>,
    routes: Router,
    limits: HttpLimits,
    stop: CancellationToken,
    requested: Requested,
) {
    let service = MapRequest::new(routes, move |request: Request<_>| {
        requested.set();
        request
    });
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Ok(ended),
        () = stop.cancelled() => Err(()),
        () = sleep(limits.max_lifetime) => Err(()),
    };
    let ended = if let Ok(ended) = ended {
        Ok(ended)
    } else {
        connection.as_mut().graceful_shutdown();
        timeout(limits.drain_timeout, connection).await
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(error, "an HTTP connection broke"),
        Err(_) => debug!("an HTTP connection took too long; cut"),
    }
}

#[cfg(test)]
mod tests;
