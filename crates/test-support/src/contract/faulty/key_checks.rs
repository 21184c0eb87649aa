//! Check values of sealing keys, with faults.

use async_trait::async_trait;
use ig_domain::ports::{KeyChecks, SealContext, StoreError};

use super::{Fault, FaultyPorts};

#[async_trait]
impl KeyChecks for FaultyPorts {
    async fn find(&self, key_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.ports.key_checks.find(key_id).await
    }

    async fn keep(&self, key_id: &str, check_value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let kept = self.ports.key_checks.keep(key_id, check_value).await?;
        Ok(if self.has(Fault::LooseKeyChecks) { check_value.to_owned() } else { kept })
    }

    async fn sealed_under(
        &self,
        key_id: &str,
        limit: u64,
    ) -> Result<Vec<(SealContext, Vec<u8>)>, StoreError> {
        self.ports.key_checks.sealed_under(key_id, limit).await
    }

    async fn in_use_except(&self, known: &[String]) -> Result<Vec<String>, StoreError> {
        self.ports.key_checks.in_use_except(known).await
    }
}
