//! Sealing keys that may come after the start: a key file is read once the database beside it is there.

use std::sync::OnceLock;

use ig_adapters::sealing::KeyRing;
use ig_domain::ports::{SealContext, SealError, TokenCipher};
use secrecy::SecretString;

/// The sealing keys of this process, once they are known.
#[derive(Debug, Default)]
pub(crate) struct Keys(OnceLock<KeyRing>);

impl Keys {
    /// The configured keys, if there are any.
    pub(crate) fn new(configured: Option<KeyRing>) -> Self {
        Self(configured.map(OnceLock::from).unwrap_or_default())
    }

    /// Whether they are known.
    pub(crate) fn are_known(&self) -> bool {
        self.0.get().is_some()
    }

    /// Makes them known. Those that are known already stay.
    pub(crate) fn learn(&self, ring: KeyRing) {
        self.0.get_or_init(|| ring);
    }

    fn ring(&self) -> Result<&KeyRing, SealError> {
        self.0.get().ok_or(SealError::NoKeys)
    }
}

impl TokenCipher for Keys {
    fn seal(&self, context: &SealContext, secret: &str) -> Result<Vec<u8>, SealError> {
        self.ring()?.seal(context, secret)
    }

    fn open(&self, context: &SealContext, sealed: &[u8]) -> Result<SecretString, SealError> {
        self.ring()?.open(context, sealed)
    }
}
