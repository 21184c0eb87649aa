//! Owner of an account, in the caller's own words.

use std::fmt;
use std::str::FromStr;

/// An opaque name of the owner in the caller's system, such as a tenant or shop. Empty means that the
/// account has no owner.
///
/// At most [`MAX_LENGTH`](Self::MAX_LENGTH) characters, none of them a control character.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(String);

/// The text is too long or holds control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner is at most {} characters, without control characters", Owner::MAX_LENGTH)]
pub struct InvalidOwner;

impl Owner {
    /// Maximum number of characters.
    pub const MAX_LENGTH: usize = 128;

    /// The text, as the caller sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Owner {
    type Err = InvalidOwner;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let valid = raw.chars().count() <= Self::MAX_LENGTH && !raw.chars().any(char::is_control);
        if valid { Ok(Self(raw.to_owned())) } else { Err(InvalidOwner) }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_not_bytes() {
        assert!("ü".repeat(128).parse::<Owner>().is_ok());
        assert_eq!("ü".repeat(129).parse::<Owner>(), Err(InvalidOwner));
    }

    #[test]
    fn control_characters_are_refused_and_no_owner_is_fine() {
        assert_eq!("shop\n7".parse::<Owner>(), Err(InvalidOwner));
        assert_eq!("".parse::<Owner>(), Ok(Owner::default()));
    }
}
