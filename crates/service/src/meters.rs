//! All metrics of this process.

use std::sync::Arc;

use ig_adapters::instagram::InstagramMeter;
use ig_adapters::metrics::PrometheusMetrics;
use ig_adapters::persistence::StoreMeter;
use ig_callbacks::CallbackMeters;
use ig_domain::ports::Clock;
use ig_grpc_server::{Readiness, ServerMeters};
use ig_metrics::{Counter, Gauge, Registry};

use crate::expiries::Expiries;
use crate::missing_keys;
use crate::surveying::SurveyGauges;

/// Prefix of the names of all metrics.
const PREFIX: &str = "instagram_accounts";

/// All metrics of this process.
pub(crate) struct Meters {
    /// Registry of all metrics below, for the collector.
    pub(crate) registry: Arc<Registry>,
    /// Whether it serves.
    pub(crate) readiness: Readiness,
    /// The server's calls and connections.
    pub(crate) server: ServerMeters,
    /// Instagram's calls back.
    pub(crate) callbacks: CallbackMeters,
    /// Calls to the store.
    pub(crate) store: StoreMeter,
    /// Sealing keys that are in use and not configured.
    pub(crate) missing_keys: Gauge,
    /// State of all accounts.
    pub(crate) survey: SurveyGauges,
    /// Requests to Instagram.
    pub(crate) instagram: InstagramMeter,
    /// Counts of what becomes of links and renewals.
    pub(crate) use_cases: Arc<PrometheusMetrics>,
}

impl Meters {
    /// All metrics at zero, but for `lost_log_lines` and what expires; nothing is known of the accounts. `clock` gives
    /// business time.
    pub(crate) fn new(
        lost_log_lines: &Counter,
        clock: &Arc<dyn Clock>,
        expiries: Expiries,
    ) -> Self {
        let mut registry = Registry::new(PREFIX, env!("CARGO_PKG_VERSION"));
        registry.add_process();
        lost_log_lines.register(&mut registry, "log_lines_lost", "Log lines that were lost");
        expiries.register(&mut registry, clock);
        Self {
            readiness: Readiness::register(&mut registry),
            server: ServerMeters::register(&mut registry),
            callbacks: CallbackMeters::register(&mut registry),
            store: StoreMeter::register(&mut registry),
            missing_keys: missing_keys::register(&mut registry),
            survey: SurveyGauges::register(&mut registry, clock),
            instagram: InstagramMeter::register(&mut registry),
            use_cases: Arc::new(PrometheusMetrics::register(&mut registry)),
            registry: Arc::new(registry),
        }
    }
}

/// Metrics of a process whose counts nobody reads.
pub(crate) struct UnreadMeters {
    /// Calls to the store.
    pub(crate) store: StoreMeter,
    /// Requests to Instagram.
    pub(crate) instagram: InstagramMeter,
    /// Counts of what becomes of links and renewals.
    pub(crate) use_cases: Arc<PrometheusMetrics>,
}

impl UnreadMeters {
    /// All metrics at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::new(PREFIX, env!("CARGO_PKG_VERSION"));
        Self {
            store: StoreMeter::register(&mut registry),
            instagram: InstagramMeter::register(&mut registry),
            use_cases: Arc::new(PrometheusMetrics::register(&mut registry)),
        }
    }
}

/// Counts calls to the store in a process whose counts nobody reads.
pub(crate) fn unread_store_meter() -> StoreMeter {
    StoreMeter::register(&mut Registry::new(PREFIX, env!("CARGO_PKG_VERSION")))
}

#[cfg(test)]
mod tests;
