//! Unlinks an account: deletes it and destroys its token.

use std::sync::Arc;

use ig_domain::ports::{AccountKey, AccountReader, AccountWriter, StoreError};
use ig_domain::{AccountId, OwnerScope};

/// Unlinks accounts.
pub struct UnlinkAccount {
    /// Reads the account to delete.
    pub accounts: Arc<dyn AccountReader>,
    /// Deletes it.
    pub account_writer: Arc<dyn AccountWriter>,
}

/// Reason for which an account is not unlinked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UnlinkAccountError {
    /// The account does not exist, or its owner is outside the scope.
    #[error("there is no such account")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UnlinkAccount {
    /// Deletes the account, if its owner is one of `owners`.
    ///
    /// # Errors
    ///
    /// Any [`UnlinkAccountError`]; nothing is deleted then.
    pub async fn execute(
        &self,
        id: AccountId,
        owners: &OwnerScope,
    ) -> Result<(), UnlinkAccountError> {
        loop {
            let found = self.accounts.find(&AccountKey::Id(id)).await?;
            let found = found.filter(|account| owners.contains(&account.owner));
            let account = found.ok_or(UnlinkAccountError::NotFound)?;
            match self.account_writer.remove(id, account.revision).await {
                Err(StoreError::Conflict) => {}
                removed => return Ok(removed?),
            }
        }
    }
}
