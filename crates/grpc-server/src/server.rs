//! Serves the RPCs, health and reflection until told to stop.

mod busy_polling;
mod connection_lifetime;
mod connection_runtimes;
mod connections;
mod gathered_wakes;
mod handshake;
mod http2;
mod lingering;
mod pacing;
mod request_body;
mod services;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{Callers, StoreProbe};
use ig_proto::v1::instagram_account_service_server::InstagramAccountServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::pb::v1::server_reflection_server::ServerReflectionServer;

pub(crate) use self::connection_lifetime::CertificateEnd;
pub use self::connection_runtimes::ConnectionRuntimes;
use self::connections::Connections;
use self::services::Services;
use crate::calls::{Calls, Refusals, RequestIds};
use crate::health::HealthMonitor;
use crate::meters::ServerMeters;
use crate::readiness::Readiness;
use crate::reflection::{Alpha, Files, Reflection};
use crate::service::UseCases;
use crate::tls::CurrentTls;

/// Maximum size of a request message, in bytes.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// All that clients may ask reflection about, the details of errors included.
const SERVED_FILES: [&[u8]; 5] = [
    ig_proto::FILE_DESCRIPTOR_SET,
    tonic_types::pb::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Settings of the server.
pub struct ServerSettings {
    /// Whether reflection is served.
    pub reflection: bool,
    /// Identifies the caller of a call.
    pub callers: Arc<dyn Callers>,
    /// Maximum time for calls under way after the stop.
    pub drain_timeout: Duration,
    /// Makes ids for calls that come without.
    pub request_ids: RequestIds,
    /// Follows the health service.
    pub readiness: Readiness,
    /// Runtimes that connections are served on.
    pub connection_runtimes: ConnectionRuntimes,
    /// TLS of the connections; `None` for plain ones.
    pub tls: Option<CurrentTls>,
    /// Metrics of the server.
    pub meters: ServerMeters,
}

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors that were compiled in cannot be served.
    #[error("the compiled-in descriptors cannot be served")]
    Reflection(#[from] prost::DecodeError),
}

/// Serves on `listener` until `shutdown` is ready.
///
/// Connections are served on runtimes of their own, where there are any, together with `Get`, `BatchGet`, health and
/// reflection, whose ports must not have to wait there for long, or to compute. All other RPCs run on the current
/// runtime.
///
/// Then health turns to not serving, its streams and reflection's end, no connection is taken any more, and
/// calls under way go on for at most `settings.drain_timeout`; what is left then is cut. Work that outlives its
/// callers is not waited for here.
///
/// # Errors
///
/// Any [`ServeError`], before anything is served.
pub async fn serve(
    listener: TcpListener,
    use_cases: UseCases,
    settings: ServerSettings,
    probe: Arc<dyn StoreProbe>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let ServerSettings {
        reflection,
        callers,
        drain_timeout,
        request_ids,
        readiness,
        connection_runtimes,
        tls,
        meters,
    } = settings;
    let stopping = CancellationToken::new();
    let reported = CancellationToken::new();
    let monitor = HealthMonitor::new(probe, readiness).await;
    let accounts = InstagramAccountServiceServer::new(use_cases);
    let accounts = accounts.max_decoding_message_size(MAX_REQUEST_BYTES);
    let mut others = Routes::builder();
    let health = HealthServer::new(monitor.service(reported.clone()));
    others.add_service(health.max_decoding_message_size(MAX_REQUEST_BYTES));
    if reflection {
        add_reflection(&mut others, reported.clone())?;
    }
    let services = Services { accounts, others: others.routes().prepare() };
    let open = meters.connections.clone();
    let refusals = Refusals::default();
    let calls = Calls::new(services, callers, request_ids, meters, refusals.clone());
    let connections = Connections::new(calls, connection_runtimes, tls, open, refusals.clone());
    let accepting = async {
        connections.accept(listener, shutdown).await;
        stopping.cancel();
    };
    let summing_up = stopping.run_until_cancelled(refusals.sum_up_regularly());
    tokio::join!(monitor.run(stopping.clone()), summing_up, accepting);
    reported.cancel();
    connections.drain(drain_timeout).await;
    refusals.sum_up();
    Ok(())
}

/// Adds reflection in both versions; `stop` ends its streams.
fn add_reflection(
    routes: &mut RoutesBuilder,
    stop: CancellationToken,
) -> Result<(), prost::DecodeError> {
    let reflection = Reflection::new(Files::of(&SERVED_FILES)?, stop);
    let v1 = ServerReflectionServer::new(reflection).max_decoding_message_size(MAX_REQUEST_BYTES);
    routes.add_service(v1.clone());
    routes.add_service(Alpha(v1));
    Ok(())
}
