//! Reads accounts for callers: from memory where that is as good, else from the store.

use std::sync::Arc;

use ig_domain::InstagramAccount;
use ig_domain::ports::{AccountKey, AccountReader, BatchKey, ReadSource, StoreError};

use super::ReadCache;
use crate::ReadAccount;

/// The accounts of a store, of which some are in memory. Clones share them.
#[derive(Clone)]
pub struct CachedAccounts {
    store: Arc<dyn AccountReader>,
    /// `None` where all are read from the store.
    cache: Option<Arc<ReadCache>>,
}

impl CachedAccounts {
    /// The accounts of `store`, and none in memory.
    #[must_use]
    pub fn of_store(store: Arc<dyn AccountReader>) -> Self {
        Self { store, cache: None }
    }

    /// The accounts of `store`, of which `cache` keeps some. It must hear of all changes that this process makes: see
    /// [`StorePorts::cached_by`](crate::StorePorts::cached_by).
    #[must_use]
    pub fn new(store: Arc<dyn AccountReader>, cache: Arc<ReadCache>) -> Self {
        Self { store, cache: Some(cache) }
    }

    /// The account with this key. That there is none is always the store's word.
    ///
    /// # Errors
    ///
    /// As [`AccountReader::find`].
    pub async fn find(&self, key: &AccountKey) -> Result<Option<Arc<ReadAccount>>, StoreError> {
        let Some(cache) = &self.cache else {
            return Ok(self.store.find(key).await?.map(shared));
        };
        if let Some(account) = cache.find(key) {
            cache.count(ReadSource::Memory, 1);
            return Ok(Some(account));
        }
        cache.count(ReadSource::Store, 1);
        let reading = cache.begin_reading();
        let account = self.store.find(key).await?.map(shared);
        if let Some(account) = &account {
            cache.keep(&reading, key, account);
        }
        Ok(account)
    }

    /// For each of `keys` the account that [`find`](Self::find) would find, in their order. An account that cannot be
    /// read is left out, as if it were not there.
    ///
    /// # Errors
    ///
    /// As [`AccountReader::find_many`].
    pub async fn find_many(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<Arc<ReadAccount>>>, StoreError> {
        let Some(cache) = &self.cache else {
            let found = self.store.find_many(keys).await?;
            return Ok(found.into_iter().map(|account| account.map(shared)).collect());
        };
        let mut accounts: Vec<_> =
            keys.iter().map(|key| cache.find(&AccountKey::from(key.clone()))).collect();
        let missing = keys.iter().zip(&accounts).filter(|(_, account)| account.is_none());
        let missing: Vec<_> = missing.map(|(key, _)| key.clone()).collect();
        cache.count(ReadSource::Memory, keys.len() - missing.len());
        cache.count(ReadSource::Store, missing.len());
        if missing.is_empty() {
            return Ok(accounts);
        }
        let reading = cache.begin_reading();
        let found = self.store.find_many(&missing).await?;
        let places = accounts.iter_mut().filter(|account| account.is_none());
        for ((place, key), account) in places.zip(missing).zip(found) {
            *place = account.map(shared);
            if let Some(account) = place {
                cache.keep(&reading, &key.into(), account);
            }
        }
        Ok(accounts)
    }
}

fn shared(account: InstagramAccount) -> Arc<ReadAccount> {
    Arc::new(account.into())
}
