//! Sealing keys that may come after the start, and serve only once they are seen to be the database's.

use std::sync::OnceLock;

use ig_adapters::sealing::KeyRing;
use ig_domain::ports::{SealContext, SealError, TokenCipher};
use secrecy::SecretString;

/// The sealing keys of this process.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    ring: OnceLock<KeyRing>,
    verified: OnceLock<()>,
}

impl Keys {
    /// The configured keys, if there are any.
    pub(crate) fn new(configured: Option<KeyRing>) -> Self {
        let ring = configured.map(OnceLock::from).unwrap_or_default();
        Self { ring, verified: OnceLock::new() }
    }

    /// The keys, whether they are verified or not; `None` until they are learned.
    pub(crate) fn ring(&self) -> Option<&KeyRing> {
        self.ring.get()
    }

    /// Takes the keys of a key file, and returns them. Those that are known already stay.
    pub(crate) fn learn(&self, ring: KeyRing) -> &KeyRing {
        self.ring.get_or_init(|| ring)
    }

    /// Whether the keys are verified, and serve.
    pub(crate) fn are_verified(&self) -> bool {
        self.verified.get().is_some()
    }

    /// Marks the keys as verified, so that they serve.
    pub(crate) fn set_verified(&self) {
        self.verified.get_or_init(|| ());
    }

    fn serving(&self) -> Result<&KeyRing, SealError> {
        let verified = self.verified.get().and(self.ring.get());
        verified.ok_or(SealError::NoKeys)
    }
}

impl TokenCipher for Keys {
    fn seal(&self, context: &SealContext, secret: &str) -> Result<Vec<u8>, SealError> {
        self.serving()?.seal(context, secret)
    }

    fn open(&self, context: &SealContext, sealed: &[u8]) -> Result<SecretString, SealError> {
        self.serving()?.open(context, sealed)
    }
}
