//! Check values of sealing keys. Nothing is sealed in memory.

use async_trait::async_trait;
use ig_domain::ports::{KeyChecks, SealContext, StoreError};

use super::MemoryStore;

#[async_trait]
impl KeyChecks for MemoryStore {
    async fn find(&self, key_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.transact(|rows, _| Ok(rows.key_checks.get(key_id).cloned()))
    }

    async fn keep(&self, key_id: &str, check_value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.transact(|rows, _| {
            let kept = rows.key_checks.entry(key_id.to_owned());
            Ok(kept.or_insert_with(|| check_value.to_owned()).clone())
        })
    }

    async fn sealed_under(
        &self,
        _: &str,
        _: u64,
    ) -> Result<Vec<(SealContext, Vec<u8>)>, StoreError> {
        self.transact(|_, _| Ok(Vec::new()))
    }

    async fn in_use_except(&self, _: &[String]) -> Result<Vec<String>, StoreError> {
        self.transact(|_, _| Ok(Vec::new()))
    }
}
