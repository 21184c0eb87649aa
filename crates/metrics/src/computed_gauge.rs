//! Gauges whose values are computed each time that they are read.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::Registry;

/// The labels of a sample, each with its value; none for a gauge of one sample.
pub type Labels = Vec<(&'static str, String)>;

/// Computes the samples of a gauge.
pub type Compute = Box<dyn Fn() -> Vec<(Labels, i64)> + Send + Sync>;

/// A gauge whose samples are computed each time that they are read. It is left out while it has none.
pub struct ComputedGauge {
    /// Name, without the registry's prefix and the unit.
    pub name: &'static str,
    /// Description.
    pub help: &'static str,
    /// Whether the numbers are seconds, which the name ends in then.
    pub in_seconds: bool,
    /// Computes the samples.
    pub compute: Compute,
}

impl ComputedGauge {
    /// Adds the gauge to `registry`.
    pub fn register(self, registry: &mut Registry) {
        registry.inner().register_collector(Box::new(self));
    }
}

impl fmt::Debug for ComputedGauge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ComputedGauge").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for ComputedGauge {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let samples = (self.compute)();
        if samples.is_empty() {
            return Ok(());
        }
        let unit = self.in_seconds.then_some(&Unit::Seconds);
        let mut gauge = encoder.encode_descriptor(self.name, self.help, unit, MetricType::Gauge)?;
        for (labels, number) in samples {
            if labels.is_empty() {
                gauge.encode_gauge(&number)?;
            } else {
                gauge.encode_family(&labels)?.encode_gauge(&number)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::TextFormat;

    #[test]
    fn a_number_is_computed_when_it_is_read_and_left_out_while_there_is_none() {
        let number = Arc::new(AtomicI64::new(0));
        let mut registry = Registry::new("test", "1");
        let shown = Arc::clone(&number);
        let labels = |of: &str| vec![("of", of.to_owned()), ("by", "c".to_owned())];
        let compute = move || match shown.load(Ordering::Relaxed) {
            0 => Vec::new(),
            number => vec![(labels("a"), number), (labels("b"), -number)],
        };
        let gauge = ComputedGauge {
            name: "left",
            help: "Time that is left",
            in_seconds: true,
            compute: Box::new(compute),
        };
        gauge.register(&mut registry);
        assert!(!registry.text(TextFormat::OpenMetrics).unwrap().contains("left"));
        number.store(7, Ordering::Relaxed);
        let text = registry.text(TextFormat::OpenMetrics).unwrap();
        let expected = "\
            # HELP test_left_seconds Time that is left\n\
            # TYPE test_left_seconds gauge\n\
            # UNIT test_left_seconds seconds\n\
            test_left_seconds{of=\"a\",by=\"c\"} 7\n\
            test_left_seconds{of=\"b\",by=\"c\"} -7\n";
        assert!(text.contains(expected), "{text}");
    }
}
