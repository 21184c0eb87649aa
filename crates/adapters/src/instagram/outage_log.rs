//! The log of Instagram's outages: where, and why.

use std::time::{Duration, Instant};

use ig_domain::LineLimit;
use ig_domain::ports::{InstagramError, InstagramErrorKind};
use tracing::warn;

use super::endpoint::Endpoint;

/// Interval in which alike outages are logged once.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Kind of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outage {
    /// No whole answer came: connection refused or reset, no name, no TLS, no time left.
    Unreachable,
    /// Instagram, or a proxy in front of it, answered with an error of its own.
    Answered,
}

/// Writes a line for an outage, limited in rate.
pub(super) struct OutageLog {
    /// Host and port of the proxy; `None` where none is used.
    proxy: Option<String>,
    limit: LineLimit<(Endpoint, Outage)>,
}

impl OutageLog {
    pub(super) fn new(proxy: Option<String>) -> Self {
        Self { proxy, limit: LineLimit::new(LOG_INTERVAL) }
    }

    /// Logs a call that failed for good, if it failed by an outage. `host` has the port, and `cause` no secret.
    pub(super) fn write(
        &self,
        endpoint: Endpoint,
        host: &str,
        error: &InstagramError,
        cause: &str,
    ) {
        let (outage, message) = match error.kind {
            InstagramErrorKind::NotSent | InstagramErrorKind::NoAnswer => {
                (Outage::Unreachable, "Instagram is unreachable")
            }
            InstagramErrorKind::Unavailable => {
                (Outage::Answered, "Instagram answered with an error of its own")
            }
            _ => return,
        };
        let Some(left_out) = self.limit.admit((endpoint, outage), Instant::now()) else { return };
        let sent = error.kind != InstagramErrorKind::NotSent;
        let proxy = self.proxy.as_deref();
        let facts = &error.facts;
        warn!(
            %endpoint,
            host,
            proxy,
            sent,
            cause,
            instagram_code = facts.code,
            instagram_subcode = facts.subcode,
            fbtrace_id = facts.fbtrace_id,
            left_out,
            "{message}"
        );
    }
}
