//! Gauges of the log of events and of those who follow it.

use ig_domain::ports::ConsumerState;
use ig_metrics::{ComputedGauge, Registry};

use super::{SurveyGauges, whole};

impl SurveyGauges {
    pub(super) fn register_events(&self, registry: &mut Registry) {
        let help = "Events that are kept";
        self.add(registry, "events_kept", help, None, |seen| vec![("", seen.log.kept)]);
        let help = "Events that wait for their number";
        self.add(registry, "events_unnumbered", help, None, |seen| vec![("", seen.log.unnumbered)]);
        let help = "Age of the oldest event that waits for its number";
        self.add_seconds(registry, "events_unnumbered_age", help, |seen| {
            Some(whole(seen.log.unnumbered_age.as_secs()))
        });
        let help = "Time for which events are kept";
        self.add_seconds(registry, "event_window", help, |seen| {
            Some(whole(seen.event_window.as_secs()))
        });
        let help = "Events that a consumer has not committed";
        self.add_by_consumer(registry, ("consumer_lag_events", help), false, |consumer| {
            consumer.lag_events
        });
        let help = "Age of the first event that a consumer has not committed";
        self.add_by_consumer(registry, ("consumer_lag", help), true, |consumer| {
            consumer.lag.as_secs()
        });
        let help = "Time until a consumer loses its cursor";
        self.add_by_consumer(registry, ("consumer_window_left", help), true, |consumer| {
            consumer.window_left.as_secs()
        });
    }

    /// Adds a gauge, by name and help, that has a sample for each consumer.
    fn add_by_consumer(
        &self,
        registry: &mut Registry,
        (name, help): (&'static str, &'static str),
        in_seconds: bool,
        number: impl Fn(&ConsumerState) -> u64 + Send + Sync + 'static,
    ) {
        let compute = self.computed(move |seen| {
            let consumers = seen.consumers.iter();
            let samples = consumers.map(|consumer| {
                let (caller, name) =
                    (consumer.key.caller.to_string(), consumer.key.name.to_string());
                let labels = vec![("caller", caller), ("consumer", name)];
                (labels, whole(number(consumer)))
            });
            samples.collect()
        });
        ComputedGauge { name, help, in_seconds, compute }.register(registry);
    }
}
