//! Numbers that the operating system has of this process, under the names that all programs give them.
//!
//! Source: <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>.

use std::fmt;

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, boot_time_secs, page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Reads the numbers of this process each time that they are asked for.
#[derive(Debug)]
pub(crate) struct ProcessCollector;

/// The numbers of a process. `None` where there is no limit.
struct Numbers {
    cpu_seconds: f64,
    resident_memory_bytes: u64,
    virtual_memory_bytes: u64,
    open_fds: usize,
    max_fds: Option<u64>,
    start_time_seconds: f64,
}

impl Numbers {
    #[expect(clippy::cast_precision_loss, reason = "2^53 ticks are millions of years")]
    fn read() -> ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let seconds = |ticks: u64| ticks as f64 / ticks_per_second() as f64;
        let max_fds = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Value(limit) => Some(limit),
            LimitValue::Unlimited => None,
        };
        Ok(Self {
            cpu_seconds: seconds(stat.utime + stat.stime),
            resident_memory_bytes: stat.rss * page_size(),
            virtual_memory_bytes: stat.vsize,
            open_fds: process.fd_count()?,
            max_fds,
            start_time_seconds: boot_time_secs()? as f64 + seconds(stat.starttime),
        })
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A system that hides `/proc` hides these numbers, and no others.
        let Ok(numbers) = Numbers::read() else { return Ok(()) };
        let mut encode =
            |name: &str, help: &str, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
                metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
            };
        let cpu = ConstCounter::new(numbers.cpu_seconds);
        encode("process_cpu", "CPU time spent by this process", Some(&Unit::Seconds), &cpu)?;
        let help = "Memory of this process that is in RAM";
        let memory = gauge(numbers.resident_memory_bytes);
        encode("process_resident_memory", help, Some(&Unit::Bytes), &memory)?;
        let help = "Address space of this process";
        let memory = gauge(numbers.virtual_memory_bytes);
        encode("process_virtual_memory", help, Some(&Unit::Bytes), &memory)?;
        let help = "File descriptors that this process has open";
        encode("process_open_fds", help, None, &gauge(numbers.open_fds))?;
        if let Some(limit) = numbers.max_fds {
            let help = "File descriptors that this process may have open";
            encode("process_max_fds", help, None, &gauge(limit))?;
        }
        let help = "Time at which this process started, in seconds since 1970";
        let start = gauge(numbers.start_time_seconds);
        encode("process_start_time", help, Some(&Unit::Seconds), &start)
    }
}

fn gauge<N: EncodeGaugeValue>(value: N) -> ConstGauge<N> {
    ConstGauge::new(value)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Duration, Instant, SystemTime};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the kernel's own time is what is compared")]
    fn the_numbers_are_those_of_this_process() {
        let before = Numbers::read().unwrap();
        assert!(before.resident_memory_bytes > 0);
        assert!(before.virtual_memory_bytes >= before.resident_memory_bytes);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - before.start_time_seconds;
        // The boot time is known to the second.
        assert!((-2.0..3_600.0).contains(&age), "it started {age} seconds ago");

        let files: Vec<_> = (0..50).map(|_| File::open("/proc/self/stat").unwrap()).collect();
        let (begin, mut sum) = (Instant::now(), 0_u64);
        while Numbers::read().unwrap().cpu_seconds < before.cpu_seconds + 0.02 {
            sum = (0..100_000).fold(sum, u64::wrapping_add);
            assert!(begin.elapsed() < Duration::from_mins(1), "no CPU time is counted");
        }
        let after = Numbers::read().unwrap();
        assert!(after.open_fds >= files.len() && after.open_fds > 50, "{}", after.open_fds);
        assert!(after.max_fds.is_none_or(|limit| limit >= 50));
    }
}
