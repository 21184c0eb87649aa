//! Removals of persons, with faults.

use async_trait::async_trait;
use ig_domain::ports::{StoreError, UserDeletions, UserRemovals};
use ig_domain::{ConfirmationCode, Deletion, RemovalOutcome, SignedRequest};
use time::{Duration, OffsetDateTime};

use super::{Fault, FaultyPorts};

#[async_trait]
impl UserRemovals for FaultyPorts {
    async fn deauthorize(
        &self,
        request: &SignedRequest,
        now: OffsetDateTime,
    ) -> Result<RemovalOutcome, StoreError> {
        let mut request = request.clone();
        match self.fault {
            Fault::LostRemovals => return Ok(RemovalOutcome::NothingStored),
            Fault::AgelessRemovals => request.issue_time += Duration::DAY,
            Fault::StaleRemovals => request.issue_time -= Duration::SECOND,
            _ => {}
        }
        self.ports.user_removals.deauthorize(&request, now).await
    }
}

#[async_trait]
impl UserDeletions for FaultyPorts {
    async fn delete(
        &self,
        request: &SignedRequest,
        code: &ConfirmationCode,
        now: OffsetDateTime,
    ) -> Result<(ConfirmationCode, RemovalOutcome), StoreError> {
        let mut request = request.clone();
        match self.fault {
            Fault::LostRemovals => return Ok((code.clone(), RemovalOutcome::NothingStored)),
            Fault::AgelessRemovals => request.issue_time += Duration::DAY,
            _ => {}
        }
        self.ports.user_deletions.delete(&request, code, now).await
    }

    async fn find(&self, code: &ConfirmationCode) -> Result<Option<Deletion>, StoreError> {
        self.ports.user_deletions.find(code).await
    }

    async fn erase(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        if self.has(Fault::LostErasures) {
            return Ok(0);
        }
        self.ports.user_deletions.erase(now, limit).await
    }
}
