//! Latencies of calls, for those who measure.

use std::time::{Duration, Instant};

/// Latencies of calls.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// Awaits a call, and takes its latency down.
    pub(crate) async fn time<T>(&mut self, call: impl Future<Output = T>) -> T {
        let begin = Instant::now();
        let answer = call.await;
        self.0.push(begin.elapsed());
        answer
    }

    /// Number of calls.
    pub(crate) fn number(&self) -> usize {
        self.0.len()
    }

    /// Prints them, for `--nocapture`.
    #[expect(clippy::print_stdout, reason = "whoever measures reads it")]
    pub(crate) fn print(&mut self, name: &str) {
        self.0.sort_unstable();
        let at = |part: usize| self.0.get((self.0.len() * part / 1000).min(self.0.len() - 1));
        println!(
            "{name}: {} calls, median {:?}, 99 % {:?}, 99.9 % {:?}, longest {:?}",
            self.0.len(),
            at(500).unwrap(),
            at(990).unwrap(),
            at(999).unwrap(),
            at(1000).unwrap()
        );
    }
}
