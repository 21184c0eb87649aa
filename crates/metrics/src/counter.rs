//! A number that only grows.

use prometheus_client::metrics::counter;

use crate::Registry;

/// A number that only grows. Clones are the same number.
#[derive(Clone, Debug, Default)]
pub struct Counter(counter::Counter);

impl Counter {
    /// Shows the number as `{name}_total`.
    pub fn register(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.inner().register(name, help, self.0.clone());
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }

    /// Makes the number so much larger.
    pub fn add(&self, count: u64) {
        self.0.inc_by(count);
    }
}
