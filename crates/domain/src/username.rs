//! Username: Instagram's handle of an account.

use std::fmt;
use std::str::FromStr;

/// A username: lower case, without the leading `@`. Not an identity, since people rename.
///
/// 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) of `a-z`, `0-9`, `.` and `_`. Parsing drops one leading `@` and lowers the
/// case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Username(String);

/// The text cannot be an Instagram username.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a username is 1 to {} of a-z, 0-9, '.' and '_'", Username::MAX_LENGTH)]
pub struct InvalidUsername;

impl Username {
    /// Maximum number of characters.
    pub const MAX_LENGTH: usize = 30;

    /// The text, in lower case and without `@`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = InvalidUsername;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let handle = raw.strip_prefix('@').unwrap_or(raw).to_ascii_lowercase();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_';
        let valid = (1..=Self::MAX_LENGTH).contains(&handle.len()) && handle.bytes().all(allowed);
        if valid { Ok(Self(handle)) } else { Err(InvalidUsername) }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_handle_is_mended() {
        assert_eq!("@Cafe.Luna_1".parse::<Username>().unwrap().as_str(), "cafe.luna_1");
    }

    #[test]
    fn what_cannot_be_a_handle_is_refused() {
        for raw in ["", "@", "a b", "ü", &"a".repeat(31)] {
            assert_eq!(raw.parse::<Username>(), Err(InvalidUsername), "{raw:?}");
        }
    }
}
