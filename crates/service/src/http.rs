//! HTTP/1 within bounds: few connections, each for one small request and for a short while.

mod connections;

use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tower::util::MapRequest;
use tracing::{debug, warn};

use self::connections::{Connections, Requested};

/// Maximum number of open connections. A further one takes the place of another.
const MAX_CONNECTIONS: usize = 128;

/// Maximum size of a request's head, in bytes. The least that the library takes.
const MAX_HEAD_SIZE: usize = 8 * 1024;

/// Maximum time from the beginning of a connection to the end of its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum lifetime of a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after a connection could not be accepted, mostly for want of file descriptors.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Answers the requests that come to `listener` by `routes`, for ever.
pub(crate) async fn serve(listener: TcpListener, routes: Router) {
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_SIZE);
    let mut connections = Connections::new(MAX_CONNECTIONS);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (http, routes) = (http.clone(), routes.clone());
                connections.open(|requested| answer(stream, http, routes, requested)).await;
                // Under a flood of connections, one that asks gets to be read before others can evict it.
                yield_now().await;
            }
            Err(error) => {
                warn!(%error, "the connection of a probe could not be accepted");
                sleep(ACCEPT_RETRY_INTERVAL).await;
            }
        }
    }
}

/// Answers one request, and notes that it came.
async fn answer(
    stream: TcpStream,
    http: Builder<TokioExecutor>,
    routes: Router,
    requested: Requested,
) {
    let service = MapRequest::new(routes, move |request: Request<_>| {
        requested.set();
        request
    });
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(error, "the connection of a probe broke"),
        Err(_) => debug!("the connection of a probe took too long; cut"),
    }
}

#[cfg(test)]
mod tests;
