//! A number that goes up and down.

use prometheus_client::metrics::gauge;

use crate::Registry;

/// A number that goes up and down. Clones are the same number.
#[derive(Clone, Debug)]
pub struct Gauge(gauge::Gauge);

/// One that is counted for as long as this lives.
#[derive(Debug)]
#[must_use = "what is dropped at once is not counted"]
pub struct GaugeGuard(gauge::Gauge);

impl Gauge {
    /// Makes `name`, which begins at 0.
    #[must_use]
    pub fn register(registry: &mut Registry, name: &str, help: &str) -> Self {
        let gauge = gauge::Gauge::default();
        registry.inner().register(name, help, gauge.clone());
        Self(gauge)
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.get()
    }

    /// Sets the number.
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    /// Counts one more until what is returned is dropped.
    pub fn hold(&self) -> GaugeGuard {
        self.0.inc();
        GaugeGuard(self.0.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}
