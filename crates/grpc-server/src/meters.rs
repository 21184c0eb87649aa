//! Metrics of the server.

use ig_domain::Caller;
use ig_metrics::{CallMeter, Gauge, NamedCounts, Registry};

use crate::calls::{Ended, Rpc};

/// Metrics of the server.
#[derive(Clone)]
pub struct ServerMeters {
    /// Calls of RPCs.
    pub(crate) rpcs: CallMeter<Rpc, Ended>,
    /// Tokens that were handed out, by caller. Callers are as many as the operator has named.
    pub(crate) tokens: NamedCounts,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// Streams of `Watch` that are open.
    pub(crate) watch_streams: Gauge,
}

impl ServerMeters {
    /// Everything at zero.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            rpcs: CallMeter::register(registry, "rpc", "RPCs"),
            tokens: NamedCounts::register(
                registry,
                "tokens_handed_out",
                "Access tokens that were handed out",
                ("caller", Caller::anonymous().name.as_str()),
            ),
            connections: Gauge::register(
                registry,
                "grpc_connections",
                "gRPC connections that are open",
            ),
            watch_streams: Gauge::register(
                registry,
                "watch_streams",
                "Streams of Watch that are open",
            ),
        }
    }
}
