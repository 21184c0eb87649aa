//! Forgets an account and destroys its token.

use std::sync::Arc;

use ig_domain::ports::{AccountKey, Accounts, StoreError};
use ig_domain::{AccountId, OwnerScope};

/// Forgets accounts.
pub struct UnlinkAccount {
    /// Where accounts are kept.
    pub accounts: Arc<dyn Accounts>,
}

/// Why an account is not forgotten.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UnlinkAccountError {
    /// It is not there, or of an owner outside the scope.
    #[error("there is no such account")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UnlinkAccount {
    /// Forgets the account, if it is one of `owners`'.
    ///
    /// # Errors
    ///
    /// Any [`UnlinkAccountError`]; nothing is forgotten then.
    pub async fn execute(
        &self,
        id: AccountId,
        owners: &OwnerScope,
    ) -> Result<(), UnlinkAccountError> {
        loop {
            let found = self.accounts.find(&AccountKey::Id(id)).await?;
            let found = found.filter(|account| owners.contains(&account.owner));
            let account = found.ok_or(UnlinkAccountError::NotFound)?;
            match self.accounts.remove(id, account.revision).await {
                Err(StoreError::Conflict) => {}
                removed => return Ok(removed?),
            }
        }
    }
}
