//! Registry of metrics.

use std::fmt;

use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry;

use crate::TextFormat;
use crate::text_format::classic;

/// All metrics of one process.
#[derive(Debug)]
pub struct Registry {
    /// Metrics of the program, under its prefix.
    program: registry::Registry,
    /// Metrics from the operating system, under names that all programs share.
    process: registry::Registry,
}

impl Registry {
    /// A registry of a program in this version; all its names begin with `prefix` and an underscore.
    #[must_use]
    pub fn new(prefix: &str, version: &'static str) -> Self {
        let mut program = registry::Registry::with_prefix(prefix);
        program.register("build", "The version that runs", Info::new([("version", version)]));
        Self { program, process: registry::Registry::default() }
    }

    /// Adds `process_…`: memory, file descriptors, CPU time and start time, on Linux.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "Linux only")
    )]
    pub fn add_process(&mut self) {
        #[cfg(target_os = "linux")]
        self.process.register_collector(Box::new(crate::process::ProcessCollector));
    }

    /// The text of all metrics as they are now.
    ///
    /// # Errors
    ///
    /// [`fmt::Error`] when a metric cannot be written, which is a fault of ours.
    pub fn text(&self, format: TextFormat) -> Result<String, fmt::Error> {
        let mut open_metrics = String::new();
        text::encode_registry(&mut open_metrics, &self.program)?;
        text::encode_registry(&mut open_metrics, &self.process)?;
        text::encode_eof(&mut open_metrics)?;
        Ok(match format {
            TextFormat::OpenMetrics => open_metrics,
            TextFormat::Classic => classic(&open_metrics),
        })
    }

    pub(crate) fn inner(&mut self) -> &mut registry::Registry {
        &mut self.program
    }
}
