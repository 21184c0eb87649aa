//! The settings of logging.

use tracing_subscriber::EnvFilter;

use super::reader::Reader;
use super::{Config, log_filter, parse, setting};

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Format and filter of the log.
pub(crate) struct LogConfig {
    /// Format of a line.
    pub(crate) format: LogFormat,
    /// Filter that a line must pass.
    pub(crate) filter: EnvFilter,
}

impl Config for LogConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let format = reader.value(&setting::LOG_FORMAT, parse::log_format);
        let filter = reader.value(&setting::RUST_LOG, log_filter::parse);
        format.zip(filter).map(|(format, filter)| Self { format, filter })
    }
}
