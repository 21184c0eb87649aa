//! Sealing of secrets before they are stored.

use secrecy::ExposeSecret as _;

use crate::ports::Cause;

/// Context that a sealed text belongs to. It opens in no other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealContext {
    /// The table.
    pub table: &'static str,
    /// The row's id.
    pub row: Vec<u8>,
    /// Purpose of the secret.
    pub purpose: &'static str,
}

/// A secret could not be sealed or opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SealError {
    /// The keys are not known yet; they come with the store.
    #[error("the sealing keys are not known yet")]
    NoKeys,
    /// The key that sealed it is not configured.
    #[error("sealed under key {0:?}, which is not among the configured keys")]
    UnknownKey(String),
    /// The sealed text is damaged or was moved from elsewhere, or the key is another one under the same id.
    #[error("the sealed secret does not open")]
    Rejected,
    /// The system gave no randomness.
    #[error("the system gave no randomness")]
    NoRandomness(#[source] Cause),
}

/// Seals secrets under the newest key, and opens secrets that any configured key has sealed.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait TokenCipher: Send + Sync {
    /// Seals `secret` for `context`.
    ///
    /// # Errors
    ///
    /// [`SealError::NoKeys`] and [`SealError::NoRandomness`].
    fn seal(&self, context: &SealContext, secret: &str) -> Result<Vec<u8>, SealError>;

    /// Opens a secret that was sealed for `context`.
    ///
    /// # Errors
    ///
    /// [`SealError::NoKeys`], [`SealError::UnknownKey`] and [`SealError::Rejected`].
    fn open(
        &self,
        context: &SealContext,
        sealed: &[u8],
    ) -> Result<secrecy::SecretString, SealError>;
}

/// Seals a secret anew, under the newest key.
///
/// # Errors
///
/// Any [`SealError`].
pub fn reseal(
    cipher: &dyn TokenCipher,
    context: &SealContext,
    sealed: &[u8],
) -> Result<Vec<u8>, SealError> {
    let secret = cipher.open(context, sealed)?;
    cipher.seal(context, secret.expose_secret())
}
