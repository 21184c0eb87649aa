//! What the server counts.

use ig_metrics::{CallMeter, Gauge, Registry};

use crate::calls::{Ended, Rpc};

/// What the server counts.
#[derive(Clone)]
pub struct ServerMeters {
    /// Calls of RPCs.
    pub(crate) rpcs: CallMeter<Rpc, Ended>,
    /// Connections that are open.
    pub(crate) connections: Gauge,
}

impl ServerMeters {
    /// Everything at zero.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            rpcs: CallMeter::register(registry, "rpc", "RPCs"),
            connections: Gauge::register(
                registry,
                "grpc_connections",
                "gRPC connections that are open",
            ),
        }
    }
}
