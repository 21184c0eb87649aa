//! All that is counted.

use std::fmt;

use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry;

/// The media type of [`Registry::text`].
///
/// Source: <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md#text-format>.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that is counted by one process.
#[derive(Debug)]
pub struct Registry(registry::Registry);

impl Registry {
    /// A registry of a program in this version; all its names begin with `prefix` and an underscore.
    #[must_use]
    pub fn new(prefix: &str, version: &'static str) -> Self {
        let mut registry = registry::Registry::with_prefix(prefix);
        registry.register("build", "What runs", Info::new([("version", version)]));
        Self(registry)
    }

    /// Everything as it is now, in the text format of OpenMetrics.
    ///
    /// # Errors
    ///
    /// [`fmt::Error`] when a metric cannot be written, which is a fault of ours.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0)?;
        Ok(text)
    }

    pub(crate) fn inner(&mut self) -> &mut registry::Registry {
        &mut self.0
    }
}
