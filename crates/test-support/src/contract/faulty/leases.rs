//! Leases of renewals, with faults.

use async_trait::async_trait;
use ig_domain::ports::{RenewalLeases, StoreError};
use ig_domain::{AccountId, LeaseHolder};

use super::{Fault, FaultyPorts};

#[async_trait]
impl RenewalLeases for FaultyPorts {
    async fn claim(&self, account: AccountId, holder: LeaseHolder) -> Result<bool, StoreError> {
        let claimed = self.ports.renewal_leases.claim(account, holder).await?;
        Ok(claimed || self.has(Fault::SharedLeases))
    }

    async fn extend(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        let extended = self.ports.renewal_leases.extend(account, holder).await;
        let lost = matches!(extended, Err(StoreError::LeaseLost));
        let revived = lost && self.has(Fault::RevivedLeases) && self.claim(account, holder).await?;
        if revived { Ok(()) } else { extended }
    }

    async fn release(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        self.ports.renewal_leases.release(account, holder).await
    }
}
