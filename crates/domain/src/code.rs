//! The authorization code that a browser brings back: single use, so a secret until it is spent.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

use crate::CodeHash;

/// An authorization code without the `#_` that Instagram appends.
///
/// 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) visible ASCII characters. `Debug` hides it.
#[derive(Clone, Debug)]
pub struct AuthorizationCode(SecretString);

/// The text cannot be an authorization code; it is not repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a code is 1 to {} printable ASCII characters without blanks",
    AuthorizationCode::MAX_LENGTH
)]
pub struct InvalidAuthorizationCode;

impl AuthorizationCode {
    /// Maximum number of characters, with the `#_`.
    pub const MAX_LENGTH: usize = 2048;

    /// The code itself, for the one request that redeems it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Hash of the code, the key of its attempt in the store.
    #[must_use]
    pub fn hash(&self) -> CodeHash {
        CodeHash::of(self.expose())
    }
}

impl FromStr for AuthorizationCode {
    type Err = InvalidAuthorizationCode;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let code = raw.strip_suffix("#_").or_else(|| raw.strip_suffix("%23_")).unwrap_or(raw);
        let visible = code.bytes().all(|byte| byte.is_ascii_graphic());
        let valid = visible && !code.is_empty() && raw.len() <= Self::MAX_LENGTH;
        if valid { Ok(Self(SecretString::from(code))) } else { Err(InvalidAuthorizationCode) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fragment_of_a_pasted_code_is_stripped_once() {
        for raw in ["AQD1", "AQD1#_", "AQD1%23_"] {
            assert_eq!(raw.parse::<AuthorizationCode>().unwrap().expose(), "AQD1");
        }
    }

    #[test]
    fn debug_shows_no_code() {
        let code: AuthorizationCode = "AQD-secret".parse().unwrap();
        assert!(!format!("{code:?} {:?}", code.hash()).contains("AQD"));
    }

    #[test]
    fn a_bare_fragment_is_no_code() {
        assert_eq!("#_".parse::<AuthorizationCode>().err(), Some(InvalidAuthorizationCode));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_bounded(raw in ".{0,2100}") {
            if let Ok(code) = raw.parse::<AuthorizationCode>() {
                prop_assert!(code.expose().len() <= 2048);
            }
        }
    }
}
