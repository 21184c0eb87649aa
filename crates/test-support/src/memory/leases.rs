//! Leases of renewals.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{RENEWAL_LEASE, RenewalLeases, StoreError};
use ig_domain::{AccountId, LeaseHolder};

use super::{Guard, Lease, MemoryStore, is_held};

#[async_trait]
impl RenewalLeases for MemoryStore {
    async fn claim(&self, account: AccountId, holder: LeaseHolder) -> Result<bool, StoreError> {
        let guarded = !self.lacks(Guard::Lease);
        self.transact(|rows, now| {
            let lease = rows.renewals.get(&account).copied();
            if guarded && is_held(lease, RENEWAL_LEASE, now) {
                return Ok(false);
            }
            rows.renewals.insert(account, Lease { holder, end: now + RENEWAL_LEASE });
            Ok(true)
        })
    }

    async fn extend(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        let guarded = !self.lacks(Guard::Lease);
        self.transact(|rows, now| extend(&mut rows.renewals, account, holder, now, guarded))
    }

    async fn release(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        self.transact(|rows, _| {
            if rows.renewals.get(&account).is_some_and(|lease| lease.holder == holder) {
                rows.renewals.remove(&account);
            }
            Ok(())
        })
    }
}

pub(super) fn extend(
    renewals: &mut HashMap<AccountId, Lease>,
    account: AccountId,
    holder: LeaseHolder,
    now: Duration,
    guarded: bool,
) -> Result<(), StoreError> {
    let lease = renewals.get(&account);
    if guarded && lease.is_none_or(|lease| lease.holder != holder) {
        return Err(StoreError::LeaseLost);
    }
    renewals.insert(account, Lease { holder, end: now + RENEWAL_LEASE });
    Ok(())
}
