//! Whether the store can serve.

use async_trait::async_trait;
use ig_domain::ports::{SealContext, StoreError, StoreProbe};

use super::SeaOrmStore;
use super::error::translate_seal;
use super::store_meter::Operation;

#[async_trait]
impl StoreProbe for SeaOrmStore {
    async fn check(&self) -> Result<(), StoreError> {
        self.call(Operation::Probe, self.database.check()).await?;
        // Keys that may not serve yet seal nothing.
        let context = SealContext { table: "none", row: Vec::new(), purpose: "probe" };
        self.cipher.seal(&context, "").map(drop).map_err(translate_seal)
    }
}
