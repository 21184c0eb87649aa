//! What probes ask over plain HTTP: whether the process lives, and whether it serves.

mod http;

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use ig_grpc_server::Readiness;
use tokio::net::TcpListener;
use tracing::info;

/// Answers probes on `address` from now on until the process ends, through a stop as well; `None` for nowhere.
///
/// # Errors
///
/// When the address cannot be listened on.
pub(crate) async fn start(address: Option<SocketAddr>, readiness: Readiness) -> anyhow::Result<()> {
    let Some(address) = address else { return Ok(()) };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "METRICS_LISTEN={address} cannot be listened on: choose another address, or none with METRICS_LISTEN="
        )
    })?;
    info!(address = %listener.local_addr()?, "probes are answered");
    tokio::spawn(http::serve(listener, routes(readiness)));
    Ok(())
}

fn routes(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get("alive\n"))
        .route("/readyz", get(serving))
        .with_state(readiness)
}

async fn serving(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.is_ready() {
        (StatusCode::OK, "serving\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not serving\n")
    }
}
