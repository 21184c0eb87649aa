//! Secrets that must not be found, in each form in which they might leak.

#![expect(clippy::expect_used, reason = "a test that cannot look for its secrets fails")]
use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Length of a piece of a secret that counts as a leak, in bytes.
const PIECE_LENGTH: usize = 12;

/// Secrets: the name of each, beside a form of a piece of it.
#[derive(Default)]
pub struct Needles(Vec<(&'static str, String)>);

impl Needles {
    /// Adds a secret to look for: any whole piece of it, as text, percent-encoded, as hexadecimal digits, as a list of
    /// bytes, and as base64 at any place of a longer text.
    ///
    /// # Panics
    ///
    /// When the secret is too short to be told apart, or not ASCII.
    pub fn plant(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= PIECE_LENGTH && secret.is_ascii(), "{what} can be told apart");
        for piece in secret.as_bytes().chunks_exact(PIECE_LENGTH) {
            let forms = plain_forms(piece).into_iter().chain(base64_forms(piece));
            self.0.extend(forms.map(|form| (what, form)));
        }
    }

    /// Names of the secrets of which a piece is in this text.
    ///
    /// # Panics
    ///
    /// When there are too many secrets to look for at once.
    #[must_use]
    pub fn found_in(&self, text: &str) -> BTreeSet<&'static str> {
        let search = AhoCorasick::new(self.0.iter().map(|(_, form)| form));
        let search = search.expect("the secrets can be looked for");
        let found = search.find_overlapping_iter(text);
        found
            .filter_map(|found| self.0.get(found.pattern().as_usize()))
            .map(|(what, _)| *what)
            .collect()
    }
}

fn plain_forms(piece: &[u8]) -> [String; 7] {
    let of = |form: fn(&u8) -> String| piece.iter().map(form).collect::<Vec<_>>();
    [
        String::from_utf8_lossy(piece).into_owned(),
        of(ToString::to_string).join(", "),
        of(|byte| format!("{byte:02x}")).concat(),
        of(|byte| format!("%{byte:02x}")).concat(),
        of(|byte| format!("%{byte:02X}")).concat(),
        of(|byte| unless_plain(*byte, format!("%{byte:02x}"))).concat(),
        of(|byte| unless_plain(*byte, format!("%{byte:02X}"))).concat(),
    ]
}

/// Letters and digits stay as they are in most encodings of URLs.
fn unless_plain(byte: u8, encoded: String) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { encoded }
}

/// Base64 turns three bytes into four characters, so the form of a piece depends on the place where it begins. The
/// characters left out at both ends depend on its neighbours, too.
fn base64_forms(piece: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let bytes = [&vec![0; before], piece].concat();
        let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&bytes);
            forms.push(encoded.get(first..end).expect("a piece has a middle").to_owned());
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "IGAAplanted-Token_Nobody~Has?0815";

    fn found(text: &str) -> bool {
        let mut needles = Needles::default();
        needles.plant("token", SECRET);
        let found = needles.found_in(text);
        assert!(found.is_empty() || found == BTreeSet::from(["token"]));
        !found.is_empty()
    }

    #[test]
    fn what_is_planted_is_found_in_any_of_its_forms() {
        let all = |form: fn(&u8) -> String| SECRET.as_bytes().iter().map(form).collect::<Vec<_>>();
        let reserved = SECRET.replace('-', "%2D").replace('_', "%5F").replace('~', "%7E");
        for form in [
            SECRET.to_owned(),
            SECRET.get(..20).unwrap().to_owned(),
            all(ToString::to_string).join(", "),
            all(|byte| format!("{byte:02x}")).concat(),
            all(|byte| format!("%{byte:02X}")).concat(),
            all(|byte| format!("%{byte:02x}")).concat(),
            reserved.to_lowercase().replace("igaaplanted", "IGAAplanted"),
            reserved.replace("IGAAplanted", ""),
        ] {
            assert!(found(&format!("before {form} after")), "{form}");
        }
        assert!(!found("IGAAplanted is no token"));
    }

    #[test]
    fn base64_hides_it_at_no_place_of_a_longer_text() {
        for before in 0..6 {
            for after in 0..6 {
                let text = format!("{}{SECRET}{}", "<".repeat(before), ">".repeat(after));
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    assert!(found(&engine.encode(&text)), "{before} {after}");
                }
                let piece = format!(
                    "{}{}{}",
                    "<".repeat(before),
                    SECRET.get(12..24).unwrap(),
                    ">".repeat(after)
                );
                assert!(found(&STANDARD_NO_PAD.encode(piece)), "{before} {after}");
            }
        }
    }
}
