//! Probes over plain HTTP: whether the process lives, whether it serves, and the metrics that it has counted.

mod accept;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ig_grpc_server::Readiness;
use ig_metrics::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::http::{self, HttpLimits};
use crate::meters::Meters;

/// Limits of probes: each connection brings one small request, and is cut after its lifetime.
const LIMITS: HttpLimits = HttpLimits {
    max_connections: 128,
    max_head_size: 8 * 1024,
    keep_alive: false,
    max_lifetime: Duration::from_secs(10),
    drain_timeout: Duration::ZERO,
};

/// Sources of the answers.
#[derive(Clone)]
pub(crate) struct Probes {
    readiness: Readiness,
    registry: Arc<Registry>,
}

impl Probes {
    /// Probes that answer from these meters.
    pub(crate) fn of(meters: &Meters) -> Self {
        Self { readiness: meters.readiness.clone(), registry: Arc::clone(&meters.registry) }
    }

    /// Answers on `address` from now on until the process ends, through a stop as well; `None` for nowhere.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub(crate) async fn start(self, address: Option<SocketAddr>) -> anyhow::Result<()> {
        let Some(address) = address else { return Ok(()) };
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "METRICS_LISTEN={address} cannot be listened on: choose another address, or none with METRICS_LISTEN="
            )
        })?;
        info!(address = %listener.local_addr()?, "probes are answered");
        // They are answered through a stop: nothing waits for them.
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        tokio::spawn(http::serve(listener, self.routes(), LIMITS, stop, tracker));
        Ok(())
    }

    fn routes(self) -> Router {
        Router::new()
            .route("/healthz", get("alive\n"))
            .route("/readyz", get(readiness))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn readiness(State(probes): State<Probes>) -> (StatusCode, &'static str) {
    if probes.readiness.is_ready() {
        (StatusCode::OK, "serving\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not serving\n")
    }
}

async fn metrics(State(probes): State<Probes>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(ACCEPT).into_iter().filter_map(|accept| accept.to_str().ok());
    let format = accept::text_format(accept);
    match probes.registry.text(format) {
        Ok(text) => ([(CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => {
            error!(%error, "what is counted cannot be written down");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
