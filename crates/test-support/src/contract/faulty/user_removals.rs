//! Removals of persons, with faults.

use async_trait::async_trait;
use ig_domain::ports::{StoreError, UserRemovals};
use ig_domain::{RemovalOutcome, SignedRequest};
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
