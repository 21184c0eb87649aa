//! Writes log lines in a thread of its own, so that nobody who logs waits for whoever reads the log.

use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ig_metrics::Counter;

/// Maximum size of the lines that wait to be written, in bytes. A line beyond it is lost.
const MAX_QUEUE_SIZE: usize = 1024 * 1024;

/// Maximum time that the end of the process waits for the last lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause before lines are offered again to an output that took none just then.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Takes lines, one with each write, and never waits. Clones write to the same output.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter(Arc<Shared>);

/// Waits for the lines to be written when it is dropped.
#[must_use = "lines are flushed when this is dropped"]
pub(crate) struct FlushOnDrop(LogWriter);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Tells that lines were queued, or written.
    changed: Condvar,
    lost: Counter,
}

/// Lines that wait to be written.
#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    lines: u64,
    /// Whether lines that were taken out are being written.
    writing: bool,
}

impl LogWriter {
    /// Writes to `output` until the process ends.
    pub(crate) fn start(output: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Self(Arc::clone(&shared));
        thread::spawn(move || shared.write_forever(output));
        writer
    }

    /// Counts the lines that were lost.
    pub(crate) fn lost(&self) -> &Counter {
        &self.0.lost
    }

    /// Guard that waits for the lines to be written, for a second at most, when it is dropped.
    pub(crate) fn flush_on_drop(&self) -> FlushOnDrop {
        FlushOnDrop(self.clone())
    }

    /// Writes this text and the end of its line.
    pub(crate) fn write_line(&self, text: &str) {
        self.0.push(format!("{text}\n").as_bytes());
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        let Shared { changed, .. } = &*self.0.0;
        let queue = self.0.0.queue();
        let unwritten = |queue: &mut Queue| queue.writing || !queue.bytes.is_empty();
        // Whether it was in time or not, the process ends now.
        drop(changed.wait_timeout_while(queue, FLUSH_TIMEOUT, unwritten));
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut queue = self.queue();
        if queue.bytes.len() + line.len() > MAX_QUEUE_SIZE {
            self.lost.add(1);
            return;
        }
        queue.bytes.extend_from_slice(line);
        queue.lines += 1;
        self.changed.notify_all();
    }

    fn write_forever(&self, mut output: impl Write) {
        let mut queue = self.queue();
        loop {
            let nothing = |queue: &mut Queue| queue.bytes.is_empty();
            let waited = self.changed.wait_while(queue, nothing);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
            let (bytes, lines) = (mem::take(&mut queue.bytes), mem::take(&mut queue.lines));
            queue.writing = true;
            drop(queue);
            if write_whole(&mut output, &bytes).is_err() {
                // The output is gone. Nobody is left to tell but those who read the counter.
                self.lost.add(lines);
            }
            queue = self.queue();
            queue.writing = false;
            self.changed.notify_all();
        }
    }
}

/// Writes all of it, also to an output that does not wait, such as a terminal that somebody else made so.
fn write_whole(output: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_INTERVAL),
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

#[cfg(test)]
mod tests;
