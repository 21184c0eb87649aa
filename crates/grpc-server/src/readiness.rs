//! Whether calls are served, for probes that do not speak gRPC.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether calls are served: what the health service says, without asking it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// `false` until the store was first seen to serve, while it is away, and from the stop on.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}
