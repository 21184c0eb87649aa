//! Answers the stored data of many accounts at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use ig_domain::ports::{BatchKey, Clock, StoreError};
use ig_domain::{AccountView, OwnerScope};

use crate::{CachedAccounts, ReadAccount};

/// Reads many accounts.
pub struct GetAccounts {
    /// Accounts, in memory and in the store.
    pub accounts: CachedAccounts,
    /// Business time, by which the status is judged.
    pub clock: Arc<dyn Clock>,
}

/// Result of a look-up of many keys.
#[derive(Clone, Debug)]
pub struct FoundAccounts {
    /// The accounts, each once, by ascending id.
    pub accounts: Vec<AccountView<Arc<ReadAccount>>>,
    /// The keys without an account, in the order in which they came.
    pub not_found: Vec<BatchKey>,
}

impl GetAccounts {
    /// The accounts with these keys whose owner is one of `owners`.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn execute(
        &self,
        keys: Vec<BatchKey>,
        owners: &OwnerScope,
    ) -> Result<FoundAccounts, StoreError> {
        let found = self.accounts.find_many(&keys).await?;
        let now = self.clock.now();
        let (mut accounts, mut not_found) = (BTreeMap::new(), Vec::new());
        for (key, account) in keys.into_iter().zip(found) {
            match account.filter(|account| owners.contains(&account.owner)) {
                Some(account) => {
                    let status = account.status(now);
                    accounts.insert(account.id, AccountView { account, status });
                }
                None => not_found.push(key),
            }
        }
        Ok(FoundAccounts { accounts: accounts.into_values().collect(), not_found })
    }
}
