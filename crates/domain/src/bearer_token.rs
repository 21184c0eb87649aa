//! Bearer token: the secret by which a caller proves its identity.

use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};

use crate::BearerHash;

/// A caller's bearer token. `Debug` hides it. Its [`hash`](Self::hash) is enough to find its caller.
///
/// 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) visible ASCII characters.
#[derive(Clone, Debug)]
pub struct BearerToken(SecretString);

/// The text cannot be a bearer token; it is not repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a bearer token is 1 to {} visible ASCII characters", BearerToken::MAX_LENGTH)]
pub struct InvalidBearerToken;

impl BearerToken {
    /// Maximum number of characters.
    pub const MAX_LENGTH: usize = 4096;

    /// Hash of the token, by which callers are found.
    #[must_use]
    pub fn hash(&self) -> BearerHash {
        BearerHash::of(self.0.expose_secret())
    }

    /// The token itself, for the one moment in which it is handed to its owner. Never log or store it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl FromStr for BearerToken {
    type Err = InvalidBearerToken;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let visible = raw.bytes().all(|byte| byte.is_ascii_graphic());
        let valid = visible && (1..=Self::MAX_LENGTH).contains(&raw.len());
        if valid { Ok(Self(SecretString::from(raw))) } else { Err(InvalidBearerToken) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_token() {
        let token: BearerToken = "planted".parse().unwrap();
        assert!(!format!("{token:?} {:?}", token.hash()).contains("planted"));
    }

    #[test]
    fn an_empty_or_broken_token_is_refused() {
        for raw in ["", "a b", "a\n", "é", &"a".repeat(4097)] {
            assert_eq!(raw.parse::<BearerToken>().err(), Some(InvalidBearerToken), "{raw:?}");
        }
    }

    #[test]
    fn the_hash_is_the_sha_256_that_everybody_computes() {
        // Source: <https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values>, "abc".
        let token: BearerToken = "abc".parse().unwrap();
        assert_eq!(token.hash().as_bytes()[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
