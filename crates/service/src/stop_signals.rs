//! The signals that the server acts on: those that stop it, and the one that must not.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tracing::info;

/// Window after a stop signal. Another one in it belongs to the same stop: a terminal and a supervisor each send one.
const SAME_STOP_WINDOW: Duration = Duration::from_secs(1);

/// SIGTERM, SIGINT and SIGHUP, caught from the moment that this is made.
pub(crate) struct StopSignals<S = SystemSignals> {
    source: S,
    /// Moment of the first stop signal.
    begun: Option<Instant>,
}

/// A signal that was caught.
#[derive(Clone, Copy)]
enum Caught {
    Stop(&'static str),
    Hangup,
}

/// Source of signals.
trait Source {
    async fn next(&mut self) -> Caught;
}

/// The signals that the system sends to this process.
pub(crate) struct SystemSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl StopSignals {
    /// Begins to catch the signals.
    ///
    /// # Errors
    ///
    /// When the system does not let them be caught.
    pub(crate) fn catch() -> io::Result<Self> {
        let source = SystemSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        Ok(Self { source, begun: None })
    }
}

#[expect(private_bounds, reason = "only the tests have another source")]
impl<S: Source> StopSignals<S> {
    /// Waits for a stop signal, and tells its name. Of those that belong to one stop the first counts.
    pub(crate) async fn next(&mut self) -> &'static str {
        loop {
            match (self.source.next().await, self.begun) {
                (Caught::Hangup, _) => {
                    info!(
                        "SIGHUP changes nothing: the files of callers and of TLS are followed anyway"
                    );
                }
                (Caught::Stop(signal), Some(begun)) if begun.elapsed() < SAME_STOP_WINDOW => {
                    info!(signal, "told again within a second: this is the same stop");
                }
                (Caught::Stop(signal), _) => {
                    self.begun.get_or_insert_with(Instant::now);
                    return signal;
                }
            }
        }
    }
}

impl Source for SystemSignals {
    async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Caught::Stop("SIGINT"),
            _ = self.hangup.recv() => Caught::Hangup,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use rstest::rstest;
    use tokio::time::advance;

    use super::*;

    /// Signals, each with the milliseconds that pass before it.
    struct Script(vec::IntoIter<(u64, Caught)>);

    impl Source for Script {
        async fn next(&mut self) -> Caught {
            let Some((gap, caught)) = self.0.next() else { std::future::pending().await };
            advance(Duration::from_millis(gap)).await;
            caught
        }
    }

    const TERMINATE: Caught = Caught::Stop("SIGTERM");
    const INTERRUPT: Caught = Caught::Stop("SIGINT");

    /// The stops that are told, each with the milliseconds since the first signal could come.
    async fn stops(script: &[(u64, Caught)]) -> Vec<(u128, &'static str)> {
        let begin = Instant::now();
        let mut signals =
            StopSignals { source: Script(Vec::from(script).into_iter()), begun: None };
        let mut stops = Vec::new();
        // Time stands still once the script has ended.
        while let Ok(signal) = tokio::time::timeout(Duration::from_hours(1), signals.next()).await {
            stops.push((begin.elapsed().as_millis(), signal));
        }
        stops
    }

    #[rstest]
    #[case::one(&[(5, TERMINATE)], &[(5, "SIGTERM")])]
    #[case::at_once(&[(0, TERMINATE), (0, INTERRUPT)], &[(0, "SIGTERM")])]
    #[case::just_within(&[(0, TERMINATE), (999, INTERRUPT)], &[(0, "SIGTERM")])]
    #[case::just_after(&[(0, TERMINATE), (1000, INTERRUPT)], &[(0, "SIGTERM"), (1000, "SIGINT")])]
    #[case::the_third_is_measured_from_the_first(
        &[(7, TERMINATE), (600, TERMINATE), (600, TERMINATE)],
        &[(7, "SIGTERM"), (1207, "SIGTERM")]
    )]
    #[case::a_hangup(&[(0, Caught::Hangup), (5, Caught::Hangup)], &[])]
    #[case::a_hangup_begins_no_stop(&[(0, Caught::Hangup), (5, INTERRUPT)], &[(5, "SIGINT")])]
    #[case::a_hangup_in_a_stop(&[(0, TERMINATE), (2000, Caught::Hangup)], &[(0, "SIGTERM")])]
    #[tokio::test(start_paused = true)]
    async fn a_stop_is_told_once_and_a_hangup_never(
        #[case] script: &[(u64, Caught)],
        #[case] expected: &[(u128, &str)],
    ) {
        assert_eq!(stops(script).await, expected);
    }
}
