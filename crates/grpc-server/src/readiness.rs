//! Whether calls are served, for probes that do not speak gRPC.

use ig_metrics::{Gauge, Registry};

/// Whether calls are served: what the health service says, without asking it. Clones share it.
#[derive(Clone, Debug)]
pub struct Readiness(Gauge);

impl Readiness {
    /// Not ready, and counted so.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let help = "Whether the service serves, as health and /readyz say: 1 or 0";
        Self(Gauge::register(registry, "ready", help))
    }

    /// `false` until the store was first seen to serve, while it is away, and from the stop on.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.get() == 1
    }

    pub(crate) fn set(&self, ready: bool) {
        self.0.set(ready.into());
    }
}
