//! Calls, counted by label and outcome, and timed.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::label::{by_index, pair};
use crate::{Durations, Gauge, GaugeGuard, Label, Registry};

/// Outcome of a call.
pub trait Outcome: Label {
    /// The outcome of a call that was dropped before its end.
    const GIVEN_UP: Self;
}

/// Counts and times calls of one kind: `S` labels a call, `O` is its outcome. Clones count together.
pub struct CallMeter<S, O>(Arc<Handles<S, O>>);

struct Handles<S, O> {
    /// By the index of the call's label, and within that by the index of its outcome.
    ended: Box<[Counter]>,
    durations: Durations<S>,
    in_flight: Gauge,
    labels: PhantomData<fn(S, O)>,
}

/// A call under way. Dropping it counts it as given up.
#[must_use = "a call that is dropped at once counts as given up"]
pub struct MeteredCall<S: Label, O: Outcome> {
    meter: CallMeter<S, O>,
    called: S,
    outcome: O,
    begin: Instant,
    _in_flight: GaugeGuard,
}

impl<S: Label, O: Outcome> CallMeter<S, O> {
    /// Makes `{call}s_total`, `{call}_duration_seconds` and `{call}s_in_flight`. `what` names the calls in the plural.
    #[must_use]
    pub fn register(registry: &mut Registry, call: &str, what: &str) -> Self {
        let ended = Family::<[(&str, &str); 2], Counter>::default();
        let in_flight = Gauge::register(
            registry,
            &format!("{call}s_in_flight"),
            &format!("{what} that are under way"),
        );
        let metrics = registry.inner();
        metrics.register(format!("{call}s"), format!("{what} that ended"), ended.clone());
        let help = format!("Duration of {what}");
        let durations = Durations::register(registry, &format!("{call}_duration"), &help);
        let handles = Handles {
            ended: by_index(|called: S| {
                let ended = ended.clone();
                by_index(move |outcome: O| {
                    ended.get_or_create_owned(&[pair(called), pair(outcome)])
                })
            })
            .flatten()
            .collect(),
            in_flight,
            durations,
            labels: PhantomData,
        };
        Self(Arc::new(handles))
    }

    /// A call that begins now.
    pub fn begin(&self, called: S) -> MeteredCall<S, O> {
        MeteredCall {
            meter: self.clone(),
            called,
            outcome: O::GIVEN_UP,
            begin: Instant::now(),
            _in_flight: self.0.in_flight.hold(),
        }
    }

    fn count(&self, called: S, outcome: O, begin: Instant) {
        let ended = called.index() * O::ALL.len() + outcome.index();
        if let Some(counter) = self.0.ended.get(ended) {
            counter.inc();
        }
        self.0.durations.observe(called, begin.elapsed());
    }
}

impl<S, O> Clone for CallMeter<S, O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Label, O: Outcome> MeteredCall<S, O> {
    /// Counts the call as ended with this outcome.
    pub fn end(mut self, outcome: O) {
        self.outcome = outcome;
    }
}

impl<S: Label, O: Outcome> Drop for MeteredCall<S, O> {
    fn drop(&mut self) {
        self.meter.count(self.called, self.outcome, self.begin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TextFormat;

    #[derive(Clone, Copy)]
    enum Planet {
        Mars,
        Venus,
    }

    crate::label!(Planet, "planet", { Venus => "venus", Mars => "mars" });

    #[derive(Clone, Copy)]
    enum Landing {
        Soft,
        Lost,
    }

    crate::label!(Landing, "landing", { Soft => "soft", Lost => "lost" });

    impl Outcome for Landing {
        const GIVEN_UP: Self = Self::Lost;
    }

    fn meter() -> (Registry, CallMeter<Planet, Landing>) {
        let mut registry = Registry::new("test", "1.0");
        let meter = CallMeter::register(&mut registry, "flight", "flights");
        (registry, meter)
    }

    fn lines(registry: &Registry, beginning: &str) -> Vec<String> {
        let text = registry.text(TextFormat::OpenMetrics).unwrap();
        let mut lines: Vec<_> =
            text.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    #[test]
    fn every_pair_of_values_is_there_before_it_happened() {
        let (registry, _) = meter();
        let expected = [
            "test_flights_total{planet=\"mars\",landing=\"lost\"} 0",
            "test_flights_total{planet=\"mars\",landing=\"soft\"} 0",
            "test_flights_total{planet=\"venus\",landing=\"lost\"} 0",
            "test_flights_total{planet=\"venus\",landing=\"soft\"} 0",
        ];
        assert_eq!(lines(&registry, "test_flights_total"), expected);
    }

    #[test]
    fn a_call_is_counted_by_its_end_or_as_given_up_and_timed_either_way() {
        let (registry, meter) = meter();
        meter.begin(Planet::Mars).end(Landing::Soft);
        meter.begin(Planet::Mars).end(Landing::Soft);
        drop(meter.begin(Planet::Venus));
        let counted: Vec<_> = lines(&registry, "test_flights_total")
            .into_iter()
            .filter(|line| !line.ends_with(" 0"))
            .collect();
        let expected = [
            "test_flights_total{planet=\"mars\",landing=\"soft\"} 2",
            "test_flights_total{planet=\"venus\",landing=\"lost\"} 1",
        ];
        assert_eq!(counted, expected);
        let timed = [
            "test_flight_duration_seconds_count{planet=\"mars\"} 2",
            "test_flight_duration_seconds_count{planet=\"venus\"} 1",
        ];
        assert_eq!(lines(&registry, "test_flight_duration_seconds_count"), timed);
    }

    #[test]
    fn a_call_is_in_flight_until_it_ends() {
        let (registry, meter) = meter();
        let call = meter.begin(Planet::Mars);
        let forgotten = meter.begin(Planet::Venus);
        assert_eq!(lines(&registry, "test_flights_in_flight"), ["test_flights_in_flight 2"]);
        call.end(Landing::Soft);
        drop(forgotten);
        assert_eq!(lines(&registry, "test_flights_in_flight"), ["test_flights_in_flight 0"]);
    }
}
