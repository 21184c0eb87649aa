//! What must not be found, in each form in which it might leak.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;

/// How long a piece of a secret must be to count as a leak, in bytes.
const PIECE: usize = 12;

/// Secrets: what each is, beside a form of a piece of it.
#[derive(Default)]
pub(super) struct Needles(Vec<(&'static str, String)>);

impl Needles {
    /// Looks for this secret, too: for any whole piece of it, as text, as hexadecimal digits, and as a list of
    /// bytes.
    pub(super) fn plant(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= PIECE && secret.is_ascii(), "{what} can be told apart");
        for piece in secret.as_bytes().chunks_exact(PIECE) {
            let text = String::from_utf8_lossy(piece).into_owned();
            let list = piece.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let hex = piece.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
            self.0.extend([text, list, hex].map(|form| (what, form)));
        }
    }

    /// What of it is in this text.
    pub(super) fn found_in(&self, text: &str) -> BTreeSet<&'static str> {
        let search = AhoCorasick::new(self.0.iter().map(|(_, form)| form)).unwrap();
        search.find_iter(text).map(|found| self.0[found.pattern().as_usize()].0).collect()
    }
}
