//! Answers the stored data of one account: the hot path, one read, mostly from memory, and nothing else.

use std::sync::Arc;

use ig_domain::ports::{AccountKey, Clock, StoreError};
use ig_domain::{AccountView, OwnerScope};

use crate::{CachedAccounts, ReadAccount};

/// Reads accounts.
pub struct GetAccount {
    /// Accounts, in memory and in the store.
    pub accounts: CachedAccounts,
    /// Business time, by which the status is judged.
    pub clock: Arc<dyn Clock>,
}

/// Reason for which an account is not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GetAccountError {
    /// The account does not exist, or its owner is outside the scope.
    #[error("there is no such account")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GetAccount {
    /// The account with this key, if its owner is one of `owners`.
    ///
    /// # Errors
    ///
    /// Any [`GetAccountError`].
    pub async fn execute(
        &self,
        key: &AccountKey,
        owners: &OwnerScope,
    ) -> Result<AccountView<Arc<ReadAccount>>, GetAccountError> {
        let found = self.accounts.find(key).await?;
        let found = found.filter(|account| owners.contains(&account.owner));
        let account = found.ok_or(GetAccountError::NotFound)?;
        Ok(AccountView { status: account.status(self.clock.now()), account })
    }
}
