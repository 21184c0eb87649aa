//! Lines are written in order, nobody waits for their reader, and lost ones are counted.

use std::panic;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use super::*;

/// An output that sends on what it gets, once it was let to.
struct Gate {
    opened: Receiver<()>,
    written: Sender<Vec<u8>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Once the gate's other side is gone, it stays open.
        self.opened.recv().ok();
        self.written.send(bytes.to_owned()).map_err(|_| ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer, a sender that opens its gate, and a receiver of what it has written.
fn gated() -> (LogWriter, Sender<()>, Receiver<Vec<u8>>) {
    let (open, opened) = channel();
    let (written, lines) = channel();
    (LogWriter::start(Gate { opened, written }), open, lines)
}

#[test]
fn lines_that_nobody_reads_hold_nobody_up_and_are_counted_once_the_queue_is_full() {
    let (mut log, _open, _lines) = gated();
    let line = [b'x'; 1024];
    let begin = Instant::now();
    let sent = 3 * MAX_QUEUE_SIZE / line.len();
    for _ in 0..sent {
        log.write_all(&line).unwrap();
    }
    assert!(begin.elapsed() < FLUSH_TIMEOUT, "{:?}", begin.elapsed());
    // One batch may be on its way out, another one waits.
    let (lost, kept) = (log.lost().get(), 2 * MAX_QUEUE_SIZE / line.len());
    assert!(lost >= (sent - kept) as u64 && lost < sent as u64, "{lost} of {sent}");
}

#[test]
fn what_is_being_written_is_waited_for_a_second_at_most() {
    let (log, _open, _lines) = gated();
    log.write_line("one");
    while !log.0.queue().writing {
        thread::yield_now();
    }
    let begin = Instant::now();
    drop(log.flush_on_drop());
    let waited = begin.elapsed();
    assert!(waited >= FLUSH_TIMEOUT && waited < 5 * FLUSH_TIMEOUT, "{waited:?}");
}

#[test]
fn what_was_logged_is_written_in_order_before_the_end() {
    let (mut log, open, lines) = gated();
    let flush = log.flush_on_drop();
    for line in 0..1_000 {
        log.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    // Nothing is written before the end has begun.
    drop(open);
    drop(flush);
    let expected: Vec<_> = (0..1_000).map(|line| format!("{line}\n")).collect();
    let written: Vec<u8> = lines.try_iter().flatten().collect();
    assert_eq!(String::from_utf8(written).unwrap(), expected.concat());
    assert_eq!(log.lost().get(), 0);
}

#[test]
fn what_was_logged_is_written_before_a_panic_ends_the_process() {
    let (log, open, lines) = gated();
    let panicked = panic::catch_unwind(move || {
        let _flush = log.flush_on_drop();
        // Dropped before that: nothing is written before the end has begun.
        let _open = open;
        log.write_line("one");
        panic!("as it is meant to");
    });
    panicked.unwrap_err();
    assert_eq!(lines.try_iter().flatten().collect::<Vec<u8>>(), b"one\n");
}

#[test]
fn lines_for_an_output_that_is_gone_are_counted() {
    let (mut log, open, lines) = gated();
    drop((open, lines));
    for _ in 0..2 {
        log.write_all(b"one\n").unwrap();
        drop(log.flush_on_drop());
    }
    assert_eq!(log.lost().get(), 2);
}

#[test]
fn an_output_that_takes_little_at_a_time_gets_all() {
    #[derive(Default)]
    struct Reluctant {
        asked: usize,
        written: Vec<u8>,
    }
    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.asked += 1;
            match self.asked % 3 {
                0 => Err(ErrorKind::WouldBlock.into()),
                1 => Err(ErrorKind::Interrupted.into()),
                _ => self.written.write(&bytes[..1]),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut output = Reluctant::default();
    write_whole(&mut output, b"one\n").unwrap();
    assert_eq!(output.written, b"one\n");
}
