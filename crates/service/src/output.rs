//! Output that its reader may stop reading.

use std::io;

/// Whether the reader reads on. A reader that has seen enough is no failure.
///
/// # Errors
///
/// When nothing can be written for another reason.
pub(crate) fn is_read_on(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// Standard output whose reader has gone, as that of `audit | head`.
#[cfg(test)]
pub(crate) struct Closed;

#[cfg(test)]
impl io::Write for Closed {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
