//! All that this process counts.

use ig_grpc_server::{Readiness, ServerMeters};
use ig_metrics::Registry;

/// What the names of all metrics begin with.
const PREFIX: &str = "instagram_accounts";

/// All that this process counts.
pub(crate) struct Meters {
    /// Everything below, for whoever collects it.
    pub(crate) registry: Registry,
    /// Whether it serves.
    pub(crate) readiness: Readiness,
    /// The server's calls and connections.
    pub(crate) server: ServerMeters,
}

impl Meters {
    /// Everything at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::new(PREFIX, env!("CARGO_PKG_VERSION"));
        Self {
            readiness: Readiness::register(&mut registry),
            server: ServerMeters::register(&mut registry),
            registry,
        }
    }
}

#[cfg(test)]
mod tests;
