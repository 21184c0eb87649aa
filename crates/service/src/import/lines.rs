//! Lines of a file that may be of any length, each with its number.

use std::io::{self, BufRead};

use secrecy::zeroize::Zeroizing;

/// Maximum length of a line in bytes. Ours: twice that of the longest one that is right.
pub(super) const MAX_LINE: usize = 10 * 1024;

/// A line without its end.
pub(super) struct Line {
    /// Its number; 1 for the first of the file.
    pub(super) number: u64,
    /// Its bytes; `None` where it is longer than [`MAX_LINE`].
    pub(super) bytes: Option<Zeroizing<Vec<u8>>>,
    /// Whether it ends with a line break, as all but the last of a file do.
    pub(super) is_ended: bool,
    /// Number of its bytes in the file, its end included.
    pub(super) length: u64,
}

/// Reads lines, and holds one at a time.
pub(super) struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn of(input: R) -> Self {
        Self { input, number: 0 }
    }

    /// The next line; `None` at the end.
    pub(super) fn read(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Zeroizing::new(Vec::new());
        let (mut length, mut is_ended) = (0, false);
        while !is_ended {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(buffer.len(), |end| end + 1);
            is_ended = end.is_some();
            length += taken;
            if length <= MAX_LINE + b"\r\n".len() {
                bytes.extend(buffer.iter().take(taken));
            }
            self.input.consume(taken);
        }
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        for end in [b'\n', b'\r'] {
            if bytes.last() == Some(&end) {
                bytes.pop();
            }
        }
        let is_whole = length <= MAX_LINE + b"\r\n".len() && bytes.len() <= MAX_LINE;
        let bytes = is_whole.then_some(bytes);
        Ok(Some(Line { number: self.number, bytes, is_ended, length: length as u64 }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    fn lines(input: impl Read) -> Vec<(u64, Option<usize>, bool)> {
        let mut lines = Lines::of(BufReader::with_capacity(7, input));
        std::iter::from_fn(|| lines.read().unwrap())
            .map(|line| (line.number, line.bytes.map(|bytes| bytes.len()), line.is_ended))
            .collect()
    }

    #[test]
    fn every_line_has_its_number_whatever_is_on_it() {
        let found = lines(&b"one\r\n\nthree, longer than the buffer\nlast"[..]);
        let expected =
            [(1, Some(3), true), (2, Some(0), true), (3, Some(29), true), (4, Some(4), false)];
        assert_eq!(found, expected);
        assert_eq!(lines(&b""[..]), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_not_held() {
        let longest = "x".repeat(MAX_LINE);
        let endless = std::io::repeat(b'x').take(1 << 24);
        let input = longest.as_bytes().chain(&b"\r\n"[..]).chain(endless).chain(&b"\nnext\n"[..]);
        let expected = [(1, Some(MAX_LINE), true), (2, None, true), (3, Some(4), true)];
        assert_eq!(lines(input), expected);
        assert_eq!(lines(format!("{longest}x").as_bytes()), [(1, None, false)]);
    }
}
