//! The audit, with faults.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{AuditLog, AuditPage, StoreError};
use ig_domain::{AuditEntry, AuditId};
use time::OffsetDateTime;

use super::{Fault, FaultyPorts};
use crate::contract::AuditReader;

#[async_trait]
impl AuditLog for FaultyPorts {
    async fn record(&self, entries: &[AuditEntry]) -> Result<HashSet<AuditId>, StoreError> {
        let all = entries.iter().map(|entry| entry.id).collect();
        match self.fault {
            Fault::LostEntries => Ok(all),
            Fault::StaleEntries => self.ports.audit.record(entries).await.map(|_| all),
            _ => match self.ports.audit.record(entries).await {
                Err(error) => self.told(Err(error)).map(|()| all),
                recorded => recorded,
            },
        }
    }

    async fn purge_before(&self, time: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        match self.fault {
            Fault::NoPurge => Ok(0),
            Fault::HastyPurge => {
                self.ports.audit.purge_before(time + Duration::from_micros(1), limit + 1).await
            }
            _ => self.ports.audit.purge_before(time, limit).await,
        }
    }
}

#[async_trait]
impl AuditReader for FaultyPorts {
    async fn entries(&self, page: &AuditPage) -> Result<Vec<AuditEntry>, StoreError> {
        if !self.has(Fault::LooseAudits) {
            return self.ports.audit_reader.entries(page).await;
        }
        let AuditPage { after, limit, .. } = *page;
        let loose = AuditPage { after, limit, ..AuditPage::default() };
        let mut entries = self.ports.audit_reader.entries(&loose).await?;
        entries.reverse();
        Ok(entries)
    }
}
