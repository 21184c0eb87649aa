//! Spans of time, by one label.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use crate::label::{by_index, pair};
use crate::{Label, Registry};

/// The upper bounds of the histograms, in seconds: from a read that memory answers to the longest wait.
const BOUNDS: [f64; 17] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// Histograms of spans of time, one for each value of a label. Clones count together.
pub struct Durations<L> {
    /// By the index of the label's value.
    histograms: Arc<[Histogram]>,
    label: PhantomData<fn(L)>,
}

impl<L: Label> Durations<L> {
    /// Makes `{name}_seconds`.
    #[must_use]
    pub fn register(registry: &mut Registry, name: &str, help: &str) -> Self {
        let family =
            Family::<[(&str, &str); 1], Histogram>::new_with_constructor(|| Histogram::new(BOUNDS));
        let histograms = by_index(|value: L| family.get_or_create_owned(&[pair(value)])).collect();
        registry.inner().register_with_unit(name, help, Unit::Seconds, family);
        Self { histograms, label: PhantomData }
    }

    /// Counts one span.
    pub fn observe(&self, value: L, span: Duration) {
        if let Some(histogram) = self.histograms.get(value.index()) {
            histogram.observe(span.as_secs_f64());
        }
    }
}

impl<L> Clone for Durations<L> {
    fn clone(&self) -> Self {
        Self { histograms: Arc::clone(&self.histograms), label: PhantomData }
    }
}
