//! Log lines on standard error, as text or JSON, so that standard output is the commands' alone.

mod log_writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal as _};
use std::panic;

use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, error};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(crate) use self::log_writer::LogWriter;
use crate::config::{LogConfig, LogFormat};

/// From now on everything logged in this process goes to `writer`, which writes to standard error.
pub(crate) fn start(config: LogConfig, writer: LogWriter) {
    subscriber(config, move || writer.clone(), io::stderr().is_terminal()).init();
    log_panics();
}

/// Makes panics log lines. The standard hook writes to standard error itself, and waits for its reader.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        error!(
            location = panic.location().map(display),
            backtrace = captured.then(|| display(backtrace)),
            "panicked: {}",
            panic.payload_as_str().unwrap_or("without a message")
        );
    }));
}

/// Spans say when they begin and end only where everything is logged.
fn subscriber<W>(config: LogConfig, writer: W, colours: bool) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let LogConfig { format, filter } = config;
    let everything = filter.max_level_hint() == Some(LevelFilter::TRACE);
    let span_events = if everything { FmtSpan::NEW | FmtSpan::CLOSE } else { FmtSpan::NONE };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours)
        .with_span_events(span_events);
    let registry = Registry::default().with(filter).with(cap());
    match format {
        LogFormat::Text => Box::new(registry.with(lines)),
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true))),
    }
}

/// Level caps that hold under every filter: below `info` the database's libraries log the database URL, password
/// included, and the HTTP/2 library warns of each acknowledgement that a client makes up.
fn cap() -> Targets {
    Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_target("sea_orm", LevelFilter::INFO)
        .with_target("sqlx", LevelFilter::INFO)
        .with_target("h2::proto::ping_pong", LevelFilter::ERROR)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rstest::rstest;
    use tracing::subscriber::with_default;
    use tracing_subscriber::EnvFilter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let config = LogConfig { format, filter: EnvFilter::new(filter) };
        with_default(subscriber(config, move || writer.clone(), false), log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[rstest]
    #[case::everything("trace")]
    #[case::named("trace,sea_orm=trace,sea_orm::driver=trace,sqlx=trace,sqlx::query=trace")]
    fn no_filter_shows_what_libraries_must_not_tell(#[case] filter: &str) {
        let text = logged(LogFormat::Text, filter, || {
            let span = tracing::trace_span!(target: "sea_orm::database", "connect", url = "hidden");
            span.in_scope(|| {
                tracing::trace!(target: "sea_orm::driver::sqlx_sqlite", "hidden");
                tracing::debug!(target: "sea_orm_migration::migrator", "hidden");
                tracing::debug!(target: "sqlx::query", "hidden");
                tracing::warn!(target: "h2::proto::ping_pong", "hidden");
                tracing::info!(target: "sea_orm_migration::migrator", "migrating");
                tracing::trace!(target: "ig_adapters::instagram", "asking");
            });
        });
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains("migrating") && text.contains("asking"), "{text}");
    }

    #[rstest]
    #[case::usual("info", false)]
    #[case::everything("trace", true)]
    fn spans_speak_only_where_everything_does(#[case] filter: &str, #[case] speak: bool) {
        let text = logged(LogFormat::Text, filter, || drop(tracing::info_span!("link").entered()));
        assert_eq!(text.contains("close"), speak, "{text}");
    }

    #[test]
    fn a_json_line_has_its_message_and_fields_at_the_top() {
        let text = logged(LogFormat::Json, "info", || tracing::info!(account.id = "a", "linked"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["message"], &line["account.id"]), (&"linked".into(), &"a".into()));
    }
}
