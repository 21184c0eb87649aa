//! Events, counted by one label.

use std::marker::PhantomData;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::label::{by_index, pair};
use crate::{Label, Registry};

/// Counts events by one label. Clones count together.
pub struct Counts<L> {
    /// By the index of the label's value.
    counters: Arc<[Counter]>,
    label: PhantomData<fn(L)>,
}

impl<L: Label> Counts<L> {
    /// Makes `{name}_total`.
    #[must_use]
    pub fn register(registry: &mut Registry, name: &str, help: &str) -> Self {
        let family = Family::<[(&str, &str); 1], Counter>::default();
        let counters = by_index(|value: L| family.get_or_create_owned(&[pair(value)])).collect();
        registry.inner().register(name, help, family);
        Self { counters, label: PhantomData }
    }

    /// Counts one.
    pub fn count(&self, value: L) {
        self.add(value, 1);
    }

    /// Counts so many.
    pub fn add(&self, value: L, number: u64) {
        if let Some(counter) = self.counters.get(value.index()) {
            counter.inc_by(number);
        }
    }
}

impl<L> Clone for Counts<L> {
    fn clone(&self) -> Self {
        Self { counters: Arc::clone(&self.counters), label: PhantomData }
    }
}

/// Counts events by names that are known only as they come, from a list that somebody else keeps short. Each count
/// looks its name up. Clones count together.
#[derive(Clone)]
pub struct NamedCounts {
    label: &'static str,
    family: Family<[(&'static str, String); 1], Counter>,
}

impl NamedCounts {
    /// Makes `{name}_total` by `label`, whose value `first` is there from the start.
    #[must_use]
    pub fn register(
        registry: &mut Registry,
        name: &str,
        help: &str,
        (label, first): (&'static str, &str),
    ) -> Self {
        let family = Family::<[(&'static str, String); 1], Counter>::default();
        // A family without any value is left out of the text.
        drop(family.get_or_create(&[(label, first.to_owned())]));
        registry.inner().register(name, help, family.clone());
        Self { label, family }
    }

    /// Counts one.
    pub fn count(&self, name: &str) {
        self.family.get_or_create(&[(self.label, name.to_owned())]).inc();
    }
}
