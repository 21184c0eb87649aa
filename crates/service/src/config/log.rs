//! The settings of logging.

use tracing_subscriber::EnvFilter;

use super::reader::Reader;
use super::{Config, log_filter, parse, setting};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
pub(crate) struct LogConfig {
    /// How a line looks.
    pub(crate) format: LogFormat,
    /// What is logged.
    pub(crate) filter: EnvFilter,
}

impl Config for LogConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let format = reader.value(&setting::LOG_FORMAT, parse::log_format);
        let filter = reader.value(&setting::RUST_LOG, log_filter::parse);
        format.zip(filter).map(|(format, filter)| Self { format, filter })
    }
}
