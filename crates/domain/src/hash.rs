//! Hashes by which the store knows secrets that it need not read back.
//!
//! Codes, states and callers' tokens are long and random, so their hashes need no salt.

use std::fmt;

use sha2::{Digest, Sha256};

macro_rules! hash {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 32]);

        impl $name {
            pub(crate) fn of(secret: &str) -> Self {
                Self(Sha256::digest(secret.as_bytes()).into())
            }

            /// Wraps a hash that the store kept.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

hash!(
    /// SHA-256 of an authorization code: the key of attempts, so that no code is ever stored.
    CodeHash
);
hash!(
    /// SHA-256 of a state: the only form in which one is stored.
    StateHash
);
hash!(
    /// SHA-256 of a session binding: the only form in which one is stored.
    SessionBindingHash
);
hash!(
    /// SHA-256 of a ticket: the only form in which one is stored.
    TicketHash
);
hash!(
    /// SHA-256 of a long-lived token, by which imports of the same are known. Never stored.
    ImportHash
);
hash!(
    /// SHA-256 of a caller's bearer token: the only form in which one is kept.
    BearerHash
);

impl BearerHash {
    /// The 64 hexadecimal digits, in lower case.
    #[must_use]
    pub fn to_hex(&self) -> String {
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
    }
}
