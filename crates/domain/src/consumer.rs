//! Names of consumers: those who follow the log of events and commit how far they have got.

use std::fmt;
use std::str::FromStr;

/// The name of a consumer, unique among those of its caller.
///
/// 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) of `a-z`, `0-9`, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerName(String);

/// The text is not the name of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a consumer's name is 1 to {} of a-z, 0-9, '.', '_' and '-'", ConsumerName::MAX_LENGTH)]
pub struct InvalidConsumerName;

impl ConsumerName {
    /// Maximum number of characters.
    pub const MAX_LENGTH: usize = 64;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConsumerName {
    type Err = InvalidConsumerName;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        let valid = (1..=Self::MAX_LENGTH).contains(&raw.len()) && raw.bytes().all(allowed);
        if valid { Ok(Self(raw.to_owned())) } else { Err(InvalidConsumerName) }
    }
}

impl fmt::Display for ConsumerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::usual("feed.copy_2-a", true)]
    #[case::longest(&"a".repeat(64), true)]
    #[case::too_long(&"a".repeat(65), false)]
    #[case::empty("", false)]
    #[case::upper_case("Feed", false)]
    #[case::blank("feed copy", false)]
    #[case::beyond_ascii("fééd", false)]
    fn a_name_fits_a_label_of_metrics(#[case] raw: &str, #[case] valid: bool) {
        assert_eq!(raw.parse::<ConsumerName>().is_ok(), valid);
    }
}
