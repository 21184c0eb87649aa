//! Secrets as they are stored: sealed, each under one key.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{SealContext, StoreError};

/// Kind of stored secrets that can be sealed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealedKind {
    /// The key of the hashes of persons: one of each app.
    UserKey,
    /// Long-lived tokens of accounts.
    Token,
    /// Short-lived tokens of links under way.
    ShortLivedToken,
    /// Codes of hosted consents.
    HostedCode,
}

impl SealedKind {
    /// All kinds.
    pub const ALL: [Self; 4] =
        [Self::UserKey, Self::Token, Self::ShortLivedToken, Self::HostedCode];
}

/// Place of a secret among those of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPlace {
    /// Id of the key that it is sealed under.
    pub key_id: String,
    /// Id of its row, as in its [`SealContext`].
    pub row: Vec<u8>,
}

/// A secret as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// Id of the key that it is sealed under.
    pub key_id: String,
    /// Context that it is bound to.
    pub context: SealContext,
    /// The sealed text.
    pub sealed: Vec<u8>,
}

impl SealedSecret {
    /// Its place among those of its kind.
    #[must_use]
    pub fn place(&self) -> SealedPlace {
        SealedPlace { key_id: self.key_id.clone(), row: self.context.row.clone() }
    }
}

/// Key of the sealed payload of an update that came by webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadKey {
    /// Number by which the store orders payloads.
    pub place: i64,
    /// Id of the key that it is sealed under; `None` where the payload is damaged.
    pub key_id: Option<String>,
    /// The moment at which the update was stored, by the store's clock.
    pub time: OffsetDateTime,
}

/// Finds stored secrets by the key that they are sealed under, and replaces them by the same ones under another key.
///
/// Pages begin behind the place of the last secret of the page before. A page without a secret is behind the last one.
/// A row that cannot be read is left out.
#[async_trait]
pub trait SealedSecrets: Send + Sync {
    /// At most `limit` secrets of a kind that are sealed under another key than `newest`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`] when too many rows cannot be read.
    async fn under_other_keys(
        &self,
        kind: SealedKind,
        newest: &str,
        after: Option<SealedPlace>,
        limit: u64,
    ) -> Result<Vec<SealedSecret>, StoreError>;

    /// Replaces each secret by the sealed text beside it, where the stored one is still the same. One that somebody else
    /// is changing is left alone. Returns how many were replaced. No account's revision moves, and no event is written.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], and then nothing was replaced, or all.
    async fn replace(
        &self,
        kind: SealedKind,
        resealed: &[(SealedSecret, Vec<u8>)],
    ) -> Result<u64, StoreError>;

    /// Places of at most `limit` secrets of a kind, of whichever key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`] when too many rows cannot be read.
    async fn places(
        &self,
        kind: SealedKind,
        after: Option<SealedPlace>,
        limit: u64,
    ) -> Result<Vec<SealedPlace>, StoreError>;

    /// Keys of at most `limit` payloads of webhooks, which nobody seals anew: they end with the window of events.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn payload_keys(
        &self,
        after: Option<i64>,
        limit: u64,
    ) -> Result<Vec<PayloadKey>, StoreError>;
}
