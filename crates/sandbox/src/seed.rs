//! Everything that looks random: the same seed and the same requests give the same ids, codes and tokens.
//!
//! Without a given seed, codes, tokens and the ids of updates follow from the time of the start too: clients remember
//! those that they have seen, and a restarted sandbox must not issue them again. Ids of accounts stay, as the accounts
//! that clients keep do.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Prefixes of the access tokens of Instagram Login, and of codes.
pub(crate) const TOKEN_PREFIX: &str = "IGAA";
pub(crate) const CODE_PREFIX: &str = "AQ";

/// The seed of ids where none is given.
const DEFAULT_SEED: u64 = 1;

/// A deterministic source: SHA-256 over the seed, what is being made, and how many were made before.
#[derive(Debug)]
pub(crate) struct Seed {
    number: u64,
    /// In nanoseconds since 1970; `None` where texts follow from the seed alone.
    start: Option<i128>,
    made: BTreeMap<&'static str, u64>,
}

impl Seed {
    /// Makes everything follow from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { number: seed, start: None, made: BTreeMap::new() }
    }

    /// Makes ids of accounts follow from the default seed, and all that clients see once from the time of the start too.
    pub(crate) fn unseeded(start: OffsetDateTime) -> Self {
        Self { start: Some(start.unix_timestamp_nanos()), ..Self::new(DEFAULT_SEED) }
    }

    /// An access token, opaque to everybody but with the prefix of Instagram Login.
    pub(crate) fn token(&mut self) -> String {
        format!("{TOKEN_PREFIX}{}", self.text("token", 160))
    }

    /// An authorization code.
    pub(crate) fn code(&mut self) -> String {
        format!("{CODE_PREFIX}{}", self.text("code", 180))
    }

    /// The `fbtrace_id` of an error.
    pub(crate) fn trace(&mut self) -> String {
        format!("A{}", self.text("trace", 22))
    }

    /// An app-scoped id: 17 digits beyond 2^54 and odd, so that no double can hold it.
    pub(crate) fn app_scoped_id(&mut self) -> u64 {
        25_000_000_000_000_000 + ((self.number("app-scoped id") % 10_000_000_000_000_000) | 1)
    }

    /// A professional account's id: 17 digits that begin with 17841.
    pub(crate) fn professional_id(&mut self) -> u64 {
        17_841_000_000_000_000 + ((self.number("professional id") % 1_000_000_000_000) | 1)
    }

    /// The id of a picture that is to be published: 17 digits, no account's.
    pub(crate) fn container_id(&mut self) -> u64 {
        17_900_000_000_000_000 + self.number("container id") % 90_000_000_000_000
    }

    /// The id of a post: 17 digits, no account's and no container's.
    pub(crate) fn post_id(&mut self) -> u64 {
        18_000_000_000_000_000 + self.number("post id") % 90_000_000_000_000
    }

    /// The id of a message.
    pub(crate) fn message_id(&mut self) -> String {
        format!("aWdfZAG1faXRlbTox{}", self.text("message id", 40))
    }

    /// The id of a comment: 17 digits. A restarted sandbox must not give it again: clients remember it.
    pub(crate) fn comment_id(&mut self) -> u64 {
        let start = self.start.map(i128::to_be_bytes).unwrap_or_default();
        17_850_000_000_000_000 + self.number_from("comment id", &start) % 40_000_000_000_000
    }

    /// A number that puts things into another order.
    pub(crate) fn order(&mut self) -> u64 {
        self.number("order")
    }

    /// Lifetime of a long-lived token in seconds, slightly below 60 days as Instagram's are.
    pub(crate) fn long_life_seconds(&mut self) -> i64 {
        5_183_944 + i64::try_from(self.number("life") % 56).unwrap_or_default()
    }

    fn text(&mut self, what: &'static str, length: usize) -> String {
        let index = self.next(what);
        let start = self.start.map(i128::to_be_bytes);
        let start = start.as_ref().map(<[u8; 16]>::as_slice).unwrap_or_default();
        let blocks = (0..u64::MAX).flat_map(|block| self.block(what, index, block, start));
        blocks
            .filter_map(|byte| ALPHANUMERIC.get(usize::from(byte) % ALPHANUMERIC.len()))
            .take(length)
            .map(|letter| char::from(*letter))
            .collect()
    }

    fn number(&mut self, what: &'static str) -> u64 {
        self.number_from(what, &[])
    }

    fn number_from(&mut self, what: &'static str, start: &[u8]) -> u64 {
        let index = self.next(what);
        let block = self.block(what, index, 0, start);
        block.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn next(&mut self, what: &'static str) -> u64 {
        let made = self.made.entry(what).or_default();
        *made += 1;
        *made
    }

    fn block(&self, what: &str, index: u64, block: u64, start: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.number.to_be_bytes());
        hash.update(what);
        hash.update(index.to_be_bytes());
        hash.update(block.to_be_bytes());
        hash.update(start);
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_things_and_another_seed_others() {
        let make = |seed| {
            let mut seed = Seed::new(seed);
            (seed.token(), seed.code(), seed.token(), seed.app_scoped_id())
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
        let (first, _, second, _) = make(7);
        assert_ne!(first, second);
    }

    #[test]
    fn without_a_seed_each_start_gives_other_codes_tokens_and_updates_and_the_same_ids_of_accounts()
    {
        let make = |start| {
            let mut seed = Seed::unseeded(start);
            let ids_of_updates = (seed.message_id(), seed.comment_id());
            (
                (seed.code(), seed.token()),
                ids_of_updates,
                (seed.app_scoped_id(), seed.professional_id()),
            )
        };
        let (first, updates, ids) = make(datetime!(2026-11-24 8:00 UTC));
        let (second, others, same_ids) = make(datetime!(2026-11-24 8:00:00.000000001 UTC));
        assert_ne!(first.0, second.0);
        assert_ne!(first.1, second.1);
        assert_ne!(updates.0, others.0);
        assert_ne!(updates.1, others.1);
        assert_eq!(ids, same_ids);
        let mut default = Seed::new(DEFAULT_SEED);
        assert_eq!(ids, (default.app_scoped_id(), default.professional_id()));
    }

    #[test]
    fn what_follows_from_a_seed_stays_from_version_to_version() {
        let mut seed = Seed::new(7);
        assert_eq!(seed.code().get(..12), Some("AQb92YX5RWZM"));
        assert_eq!(seed.token().get(..12), Some("IGAAkBGZBCZg"));
        assert_eq!(seed.app_scoped_id(), 30_570_702_175_711_159);
    }

    proptest! {
        #[test]
        #[expect(
            clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss,
            reason = "the loss is what is shown"
        )]
        fn ids_have_17_digits_and_app_scoped_ones_do_not_survive_a_double(seed: u64) {
            let mut seed = Seed::new(seed);
            let (scoped, professional) = (seed.app_scoped_id(), seed.professional_id());
            prop_assert_eq!(scoped.to_string().len(), 17);
            prop_assert_ne!(scoped as f64 as u64, scoped);
            prop_assert!(professional.to_string().starts_with("17841"));
            prop_assert_eq!(professional.to_string().len(), 17);
        }

        #[test]
        fn long_tokens_live_slightly_less_than_sixty_days(seed: u64) {
            let life = Seed::new(seed).long_life_seconds();
            prop_assert!((5_183_944..=5_183_999).contains(&life));
        }
    }
}
