//! The audit of tokens that were handed out.

use std::cmp::Reverse;
use std::collections::HashSet;

use async_trait::async_trait;
use ig_domain::ports::{AuditLog, AuditPage, StoreError};
use ig_domain::{AuditEntry, AuditId};
use time::OffsetDateTime;

use super::{Guard, MemoryStore};
use crate::contract::AuditReader;

#[async_trait]
impl AuditLog for MemoryStore {
    async fn record(&self, entries: &[AuditEntry]) -> Result<HashSet<AuditId>, StoreError> {
        self.transact(|rows, _| {
            let is_known = |entry: &AuditEntry| rows.audit.iter().any(|kept| kept.id == entry.id);
            if entries.iter().any(is_known) {
                return Err(StoreError::Conflict);
            }
            let mut recorded = HashSet::new();
            for entry in entries {
                let account = rows.accounts.get(&entry.account);
                let is_current =
                    account.is_some_and(|(account, _)| account.revision == entry.revision);
                if !is_current && !self.lacks(Guard::AuditRevision) {
                    continue;
                }
                recorded.insert(entry.id);
                let is_same_token = |kept: &AuditEntry| {
                    (kept.account, kept.revision) == (entry.account, entry.revision)
                };
                if !self.lacks(Guard::EachAuditEntry) || !rows.audit.iter().any(is_same_token) {
                    rows.audit.push(entry.clone());
                }
            }
            Ok(recorded)
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
