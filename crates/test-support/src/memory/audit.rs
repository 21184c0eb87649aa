//! The audit of tokens that were handed out.

use std::cmp::Reverse;

use async_trait::async_trait;
use ig_domain::AuditEntry;
use ig_domain::ports::{AuditLog, AuditPage, StoreError};
use time::OffsetDateTime;

use super::{Guard, MemoryStore};
use crate::contract::AuditReader;

#[async_trait]
impl AuditLog for MemoryStore {
    async fn record(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let same_token = |kept: &AuditEntry| {
            (kept.account, kept.revision) == (entry.account, entry.revision)
                && self.lacks(Guard::EachAuditEntry)
        };
        self.transact(|rows, _| {
            if rows.audit.iter().any(same_token) {
                return Ok(());
            }
            if rows.audit.iter().any(|kept| kept.id == entry.id) {
                return Err(StoreError::Conflict);
            }
            rows.audit.push(entry.clone());
            Ok(())
        })
    }

    async fn purge_before(&self, time: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.transact(|rows, _| {
            let mut old: Vec<_> = rows.audit.iter().filter(|entry| entry.time < time).collect();
            old.sort_by_key(|entry| (entry.time, entry.id));
            old.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let old: Vec<_> = old.into_iter().map(|entry| entry.id).collect();
            rows.audit.retain(|entry| !old.contains(&entry.id));
            Ok(old.len() as u64)
        })
    }
}

#[async_trait]
impl AuditReader for MemoryStore {
    async fn entries(&self, page: &AuditPage) -> Result<Vec<AuditEntry>, StoreError> {
        self.transact(|rows, _| {
            let place = |entry: &AuditEntry| (entry.time, entry.id);
            let AuditPage { account, caller, owner, since, after, limit } = page;
            let met = |entry: &&AuditEntry| {
                account.is_none_or(|account| entry.account == account)
                    && caller.as_ref().is_none_or(|caller| entry.caller == *caller)
                    && owner.as_ref().is_none_or(|owner| entry.owner == *owner)
                    && since.is_none_or(|since| entry.time >= since)
                    && after.is_none_or(|after| place(entry) < after)
            };
            let mut entries: Vec<_> = rows.audit.iter().filter(met).cloned().collect();
            entries.sort_by_key(|entry| Reverse(place(entry)));
            entries.truncate(usize::try_from(*limit).unwrap_or(usize::MAX));
            Ok(entries)
        })
    }
}
