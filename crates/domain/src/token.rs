//! Tokens: opaque secrets that no `Debug` shows.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

use crate::ImportHash;

/// A token's text. `Debug` hides it; [`expose`](Self::expose) is the only way to it.
///
/// 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) visible ASCII characters.
#[derive(Clone, Debug)]
pub struct TokenText(SecretString);

/// The text cannot be a token; it is not repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is 1 to {} visible ASCII characters", TokenText::MAX_LENGTH)]
pub struct InvalidToken;

impl TokenText {
    /// Maximum number of characters. Ours; Instagram calls tokens opaque and names no length.
    pub const MAX_LENGTH: usize = 4096;

    /// The token itself. Never log, format or store it in the clear.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether both texts are equal. For our own tokens only: the comparison is not constant-time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl FromStr for TokenText {
    type Err = InvalidToken;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let visible = raw.bytes().all(|byte| byte.is_ascii_graphic());
        let valid = visible && (1..=Self::MAX_LENGTH).contains(&raw.len());
        if valid { Ok(Self(SecretString::from(raw))) } else { Err(InvalidToken) }
    }
}

/// The token that a code was exchanged for. It lives an hour; a linked account does not keep it.
#[derive(Clone, Debug)]
pub struct ShortLivedToken(TokenText);

/// The token that a linked account keeps: it lives for weeks and can be renewed.
#[derive(Clone, Debug)]
pub struct LongLivedToken(TokenText);

macro_rules! token {
    ($name:ident) => {
        impl $name {
            /// Makes a token of this kind from its text.
            #[must_use]
            pub fn new(text: TokenText) -> Self {
                Self(text)
            }

            /// The token's text.
            #[must_use]
            pub fn text(&self) -> &TokenText {
                &self.0
            }
        }
    };
}

token!(ShortLivedToken);
token!(LongLivedToken);

impl LongLivedToken {
    /// Hash by which imports of the token are known.
    #[must_use]
    pub fn import_hash(&self) -> ImportHash {
        ImportHash::of(self.0.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_token() {
        let token = LongLivedToken::new("IGAA-secret".parse().unwrap());
        assert!(!format!("{token:?}").contains("IGAA"), "{token:?}");
    }

    #[test]
    fn an_empty_or_broken_token_is_refused() {
        for raw in ["", "a b", "a\n", "é", &"a".repeat(4097)] {
            assert_eq!(raw.parse::<TokenText>().err(), Some(InvalidToken), "{raw:?}");
        }
    }
}
