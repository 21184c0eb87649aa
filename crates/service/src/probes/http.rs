//! HTTP/1 within bounds: few connections, each for one small request and for a short while.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// How many connections there may be at once; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 32;

/// How large the head of a request may be, in bytes. The least that the library takes.
const LARGEST_HEAD: usize = 8 * 1024;

/// How long a connection may last, from its begin to the end of its answer.
const LIMIT: Duration = Duration::from_secs(10);

/// How long to wait after a connection could not be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Answers the requests that come to `listener` by `routes`, for ever.
pub(super) async fn serve(listener: TcpListener, routes: Router) {
    serve_at_most(MOST_CONNECTIONS, listener, routes).await;
}

async fn serve_at_most(limit: usize, listener: TcpListener, routes: Router) {
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1().keep_alive(false).max_buf_size(LARGEST_HEAD);
    let places = Arc::new(Semaphore::new(limit));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = answer(stream, http.clone(), routes.clone());
                tokio::spawn(async move {
                    if timeout(LIMIT, connection).await.is_err() {
                        debug!("the connection of a probe took too long; cut");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "the connection of a probe could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers one request.
async fn answer(stream: TcpStream, http: Builder<TokioExecutor>, routes: Router) {
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    if let Err(error) = connection.await {
        debug!(error, "the connection of a probe broke");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use rstest::rstest;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A server with so many places; how to reach it.
    async fn served(limit: usize) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/a", get("answer"));
        tokio::spawn(serve_at_most(limit, listener, routes));
        address
    }

    /// Sends this, and reads until the server closes.
    async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // What is sent beyond what is read may reset the connection behind the answer.
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    }

    #[rstest]
    #[case::get("GET /a HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK", "answer")]
    #[case::head("HEAD /a HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK", "\r\n\r\n")]
    #[case::post("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 405", "")]
    #[case::elsewhere("GET /b HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 404", "")]
    #[case::no_http("\0\0\0\r\n\r\n", "HTTP/1.1 400", "")]
    #[case::http2("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", "")]
    #[case::a_long_head(&format!("GET /a HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(64 * 1024)), "HTTP/1.1 431", "")]
    #[tokio::test]
    async fn one_request_is_answered_and_the_connection_closed(
        #[case] request: &str,
        #[case] begin: &str,
        #[case] end: &str,
    ) {
        let answer = exchange(served(1).await, request).await;
        assert!(answer.starts_with(begin) && answer.ends_with(end), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn silent_connections_are_cut_and_make_room() {
        let address = served(1).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let answer = exchange(address, "GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(answer.ends_with("answer"), "{answer}");
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    }
}
