//! The connections: accept, limit, evict and drain.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::{self, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ig_metrics::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::Service;

use super::connection_lifetime::{CertificateEnd, ConnectionLifetime, EVICTION_TIMEOUT};
use super::connection_runtimes::ConnectionRuntimes;
use super::handshake::handshake;
use super::http2;
use super::pacing::{Paced, Turn};
use super::request_body::RequestBody;
use super::streams::Streams;
use crate::activity::Activities;
use crate::calls::{Calls, Kind, Refusals};
use crate::peer_names::PeerNames;
use crate::tls::{CurrentTls, Tls};

/// Maximum number of connections at once; further ones wait until one of them makes room.
const MAX_CONNECTIONS: usize = 1024;

/// Timeout of handshakes under way at a stop. A client that connects to call makes its own at once.
const DRAIN_HANDSHAKE_TIMEOUT: Duration = Duration::from_millis(500);

/// Interval between two tries to accept after a connection could not be accepted, mostly for want of file descriptors.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// A connection that was accepted.
struct Accepted {
    /// Of no runtime yet.
    stream: net::TcpStream,
    peer: SocketAddr,
    tls: Option<Tls>,
    refusals: Refusals,
}

/// All connections of a server.
pub(super) struct Connections<S> {
    service: Calls<S>,
    tls: Option<CurrentTls>,
    places: Arc<Semaphore>,
    activities: Activities,
    refusals: Refusals,
    runtimes: ConnectionRuntimes,
    tasks: TaskTracker,
    open: Gauge,
    /// Lets connections finish their calls and close.
    closing: CancellationToken,
    /// Ends connections at once.
    cut: CancellationToken,
}

impl<S> Connections<S>
where
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    /// Connections whose calls `service` answers on `runtimes`, at most [`MAX_CONNECTIONS`] at once; `open` counts them.
    pub(super) fn new(
        service: Calls<S>,
        runtimes: ConnectionRuntimes,
        tls: Option<CurrentTls>,
        open: Gauge,
        refusals: Refusals,
    ) -> Self {
        Self { refusals, runtimes, ..Self::at_most(MAX_CONNECTIONS, service, tls, open) }
    }

    fn at_most(limit: usize, service: Calls<S>, tls: Option<CurrentTls>, open: Gauge) -> Self {
        Self {
            service,
            tls,
            places: Arc::new(Semaphore::new(limit)),
            activities: Activities::default(),
            refusals: Refusals::default(),
            runtimes: ConnectionRuntimes::default(),
            tasks: TaskTracker::new(),
            open,
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Takes connections from `listener` until `shutdown` is ready, and closes it.
    pub(super) async fn accept(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let accepting = async {
            loop {
                let accepted = listener.accept().await;
                match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                    Ok((stream, peer)) => self.open(stream, peer, self.place().await),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = shutdown => {}
            () = accepting => {}
        }
        if let Err(error) = self.accept_made(listener) {
            tracing::warn!(%error, "connections that were just made are lost");
        }
    }

    /// Takes the connections that are made already. Closing the listener would break them, and their clients, who
    /// could not know of the stop, may have sent their calls.
    fn accept_made(&self, listener: TcpListener) -> io::Result<()> {
        // Asks the system itself: the runtime may not have been told of them yet.
        let listener = listener.into_std()?;
        while let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            let (stream, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(none) if none.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            self.open(stream, peer, Some(place));
        }
        Ok(())
    }

    /// A place for one more connection. If all are taken, connections that serve no caller are evicted, one after the
    /// other.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        loop {
            self.activities.make_room();
            let place = Arc::clone(&self.places).acquire_owned();
            if let Ok(place) = tokio::time::timeout(EVICTION_TIMEOUT, place).await {
                return place.ok();
            }
        }
    }

    /// Lets calls under way finish within `limit`, then cuts what is left, and ends the runtimes.
    pub(super) async fn drain(self, limit: Duration) {
        self.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "calls took too long to finish; cut");
            self.cut.cancel();
            self.tasks.wait().await;
        }
        self.runtimes.end().await;
    }

    fn open(&self, stream: net::TcpStream, peer: SocketAddr, place: Option<OwnedSemaphorePermit>) {
        let service = self.service.clone();
        let lifetime =
            ConnectionLifetime { closing: self.closing.clone(), activity: self.activities.enter() };
        let tls = self.tls.as_ref().map(|current| current());
        let accepted = Accepted { stream, peer, tls, refusals: self.refusals.clone() };
        let (held, cut) = (self.open.hold(), self.cut.clone());
        self.runtimes.spawn(&self.tasks, async move {
            cut.run_until_cancelled(connection(accepted, service, lifetime)).await;
            drop((place, held));
        });
    }
}

/// Serves one connection until its client leaves, or until its lifetime is over and its last call has ended.
async fn connection<S>(accepted: Accepted, service: Calls<S>, lifetime: ConnectionLifetime)
where
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    let peer = accepted.peer;
    let Some((stream, names)) = after_handshake(accepted, &lifetime).await else { return };
    let certificate_end = names.as_ref().map(|_| CertificateEnd::of_a_handshake());
    let activity = lifetime.activity.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(RequestBody::new);
        request.extensions_mut().insert(activity.clone());
        request.extensions_mut().insert(peer);
        if let Some(names) = names.clone() {
            request.extensions_mut().insert(names);
        }
        if let Some(end) = certificate_end {
            request.extensions_mut().insert(end);
        }
        let mut service = service.clone();
        // Called when its stream runs: a panic there ends that stream only.
        async move { service.call(request).await }
    });
    let (turn, streams) = (Turn::default(), Streams::default());
    let stream = TokioIo::new(Paced::new(stream, turn.clone()));
    let mut connection = pin!(http2::builder(streams.begun()).serve_connection(stream, service));
    let served = async {
        tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = lifetime.is_over(certificate_end) => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = lifetime.is_overdrawn() => Ok(()),
                }
            }
        }
    };
    if let Err(error) = turn.each(served, || streams.run()).await {
        tracing::debug!(error = %error, "a connection broke");
    }
}

/// Waits for the stop, and then for [`DRAIN_HANDSHAKE_TIMEOUT`].
async fn drain_handshakes(closing: &CancellationToken) {
    closing.cancelled().await;
    tokio::time::sleep(DRAIN_HANDSHAKE_TIMEOUT).await;
}

/// The connection after its handshake, and the names of its client; `None` where none comes about.
async fn after_handshake(
    accepted: Accepted,
    lifetime: &ConnectionLifetime,
) -> Option<(impl AsyncRead + AsyncWrite + Unpin + use<>, Option<PeerNames>)> {
    let Accepted { stream, peer, tls, refusals } = accepted;
    let stream = TcpStream::from_std(stream);
    let stream = stream.inspect_err(|error| tracing::warn!(%error, "a connection is lost")).ok()?;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small packets of a connection will be late");
    }
    tokio::select! {
        () = lifetime.activity.leaving() => None,
        () = drain_handshakes(&lifetime.closing) => None,
        done = handshake(stream, tls) => {
            done.inspect_err(|error| log_failed_handshake(error, peer, &refusals)).ok()
        }
    }
}

/// Logs the reason for which a connection did not come about. A refused certificate counts as a refused caller.
fn log_failed_handshake(error: &io::Error, peer: SocketAddr, refusals: &Refusals) {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let reason = "CERTIFICATE_REFUSED".to_owned();
    let kind = Kind { peer: Some(peer.ip()), caller: None, reason };
    match cause {
        Some(rustls::Error::InvalidCertificate(_)) if refusals.is_first(kind) => {
            tracing::warn!(%error, %peer, "a client's certificate is refused");
        }
        _ => tracing::debug!(%error, %peer, "a connection made no handshake"),
    }
}
