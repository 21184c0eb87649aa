//! Check values: they tell whether a sealing key is the one that its id stands for.

use async_trait::async_trait;

use crate::ports::{SealContext, StoreError};

/// Stores a check value for each sealing key, and finds the secrets that are sealed under a key.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait KeyChecks: Send + Sync {
    /// The check value of the key with this id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn find(&self, key_id: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Stores a check value for the key with this id, unless one is stored already, and returns the stored one. Of
    /// several concurrent calls the first one wins, and all get its value.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn keep(&self, key_id: &str, check_value: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// At most `limit` secrets that are sealed under the key with this id, each with its context. A row that cannot be
    /// read is left out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn sealed_under(
        &self,
        key_id: &str,
        limit: u64,
    ) -> Result<Vec<(SealContext, Vec<u8>)>, StoreError>;

    /// Ids of the keys under which secrets are sealed, except for those in `known`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn in_use_except(&self, known: &[String]) -> Result<Vec<String>, StoreError>;
}
