//! Gauges of what expires beside tokens: certificates, and callers.

use std::sync::Arc;

use ig_adapters::callers::CallersFile;
use ig_adapters::system::SystemClock;
use ig_domain::ports::Clock;
use ig_grpc_server::{Tls, TlsPart};
use ig_metrics::{ComputedGauge, Registry};
use time::OffsetDateTime;
use tokio::sync::watch;

/// Sources of what expires.
#[derive(Clone, Default)]
pub(crate) struct Expiries {
    /// The file of callers; `None` where everybody may call.
    pub(crate) callers: Option<Arc<CallersFile>>,
    /// TLS that new connections use; `None` where there is none.
    pub(crate) tls: Option<watch::Receiver<Tls>>,
}

impl Expiries {
    /// Registers the gauges. `clock` gives business time, by which callers expire; certificates expire by the machine's.
    pub(crate) fn register(self, registry: &mut Registry, clock: &Arc<dyn Clock>) {
        let Self { callers, tls } = self;
        let clock = Arc::clone(clock);
        let next_caller = move || {
            let end = callers.as_ref().and_then(|file| file.next_expire_time());
            end.map(|end| (Vec::new(), left(end, &*clock))).into_iter().collect()
        };
        let gauge = ComputedGauge {
            name: "caller_expiry",
            help: "Time until the next caller of CALLERS_FILE expires",
            in_seconds: true,
            compute: Box::new(next_caller),
        };
        gauge.register(registry);
        let of_files = move || {
            let tls = tls.as_ref().map(|tls| tls.borrow().clone());
            let part = |name: &str, part| {
                let end = tls.as_ref().and_then(|tls| tls.expire_time(part))?;
                Some((vec![("file", name.to_owned())], left(end, &SystemClock)))
            };
            let parts =
                [part("certificate", TlsPart::Certificate), part("client_ca", TlsPart::ClientCa)];
            parts.into_iter().flatten().collect()
        };
        let gauge = ComputedGauge {
            name: "certificate_expiry",
            help: "Time until the first certificate of a file of TLS expires",
            in_seconds: true,
            compute: Box::new(of_files),
        };
        gauge.register(registry);
    }
}

fn left(end: OffsetDateTime, clock: &dyn Clock) -> i64 {
    (end - clock.now()).whole_seconds()
}
