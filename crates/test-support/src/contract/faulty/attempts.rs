//! Pending links and attempts, with faults.

use async_trait::async_trait;
use ig_domain::ports::{CompletedLink, LinkAttempts, LinkEnded, PendingLinks, StoreError};
use ig_domain::{
    CodeHash, LeaseHolder, LinkAttempt, LinkOutcome, LinkRefusal, PendingLink, Phase, StateHash,
};
use time::OffsetDateTime;

use super::{Fault, FaultyPorts};

#[async_trait]
impl PendingLinks for FaultyPorts {
    async fn insert(&self, pending: &PendingLink) -> Result<(), StoreError> {
        if self.has(Fault::LostPendingLinks) {
            return Ok(());
        }
        self.told(self.ports.pending_links.insert(pending).await)
    }

    async fn find(&self, state: &StateHash) -> Result<Option<PendingLink>, StoreError> {
        self.ports.pending_links.find(state).await
    }
}

impl FaultyPorts {
    /// Makes `holder` the holder again where nobody else seems to be.
    async fn revive(&self, code: &CodeHash, holder: LeaseHolder) -> Result<(), StoreError> {
        if self.has(Fault::RevivedLeases) {
            self.ports.link_attempts.claim(code, holder).await?;
        }
        Ok(())
    }

    /// The present holder of the attempt, where [`Fault::LateHolders`] ignores `holder`.
    fn whoever_holds(&self, code: &CodeHash, holder: LeaseHolder) -> LeaseHolder {
        if !self.has(Fault::LateHolders) {
            return holder;
        }
        self.holders().get(code).copied().unwrap_or(holder)
    }

    /// An unspent state of the same link.
    async fn another_state(&self, attempt: &LinkAttempt) -> Result<LinkAttempt, StoreError> {
        let found = self.ports.pending_links.find(&attempt.state).await?;
        let pending = found.ok_or(StoreError::Conflict)?;
        let state = StateHash::from_bytes(*attempt.code.as_bytes());
        let unspent = PendingLink { state, spent_by: None, ..pending };
        self.ports.pending_links.insert(&unspent).await?;
        Ok(LinkAttempt { state, ..attempt.clone() })
    }

    /// The link, made to follow the revisions that are stored.
    async fn blind(&self, link: &CompletedLink) -> Result<CompletedLink, StoreError> {
        let mut blind = link.clone();
        if blind.former_revision.is_some() {
            blind.former_revision = Some(self.stored_revision(link.account.id).await?);
        }
        if let Some((id, revision)) = &mut blind.displaced {
            *revision = self.stored_revision(*id).await?;
        }
        Ok(blind)
    }

    async fn end(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        end_time: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let outcome = LinkOutcome::Refused(LinkRefusal::Interrupted);
        let ended = Phase::Ended { outcome, end_time };
        self.ports.link_attempts.advance(code, holder, &ended).await
    }
}

#[async_trait]
impl LinkAttempts for FaultyPorts {
    async fn find(&self, code: &CodeHash) -> Result<Option<LinkAttempt>, StoreError> {
        self.ports.link_attempts.find(code).await
    }

    async fn create(&self, attempt: &LinkAttempt, holder: LeaseHolder) -> Result<(), StoreError> {
        let created = self.ports.link_attempts.create(attempt, holder).await;
        let created = match created {
            Err(StoreError::Conflict) if self.has(Fault::ReusedStates) => {
                let attempt = self.another_state(attempt).await?;
                self.ports.link_attempts.create(&attempt, holder).await
            }
            created => self.told(created),
        };
        if created.is_ok() {
            self.holders().insert(attempt.code, holder);
        }
        created
    }

    async fn discard_unsent(&self, code: &CodeHash, state: &StateHash) -> Result<bool, StoreError> {
        self.ports.link_attempts.discard_unsent(code, state).await
    }

    async fn claim(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
    ) -> Result<Option<LinkAttempt>, StoreError> {
        let claimed = self.ports.link_attempts.claim(code, holder).await?;
        if claimed.is_some() {
            self.holders().insert(*code, holder);
        } else if self.has(Fault::SharedLeases) {
            return self.ports.link_attempts.find(code).await;
        }
        Ok(claimed)
    }

    async fn advance(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        if self.has(Fault::LostSentMarks) && matches!(phase, Phase::Sent) {
            return Ok(());
        }
        self.revive(code, holder).await?;
        self.ports.link_attempts.advance(code, self.whoever_holds(code, holder), phase).await
    }

    async fn release(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        self.ports.link_attempts.release(code, self.whoever_holds(code, holder), phase).await
    }

    async fn complete(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        link: &CompletedLink,
    ) -> Result<LinkEnded, StoreError> {
        if self.has(Fault::LostAccounts) {
            self.end(code, holder, link.end_time).await?;
            return Ok(LinkEnded::Stored);
        }
        let mut link = link.clone();
        if self.has(Fault::StaleWrites) {
            link = self.blind(&link).await?;
        }
        if self.has(Fault::LostTokens) && link.former_revision.is_some() {
            link.token = None;
        }
        let holder = self.whoever_holds(code, holder);
        let completed = self.ports.link_attempts.complete(code, holder, &link).await;
        if self.has(Fault::HalfLinks) && matches!(completed, Err(StoreError::Conflict)) {
            self.end(code, holder, link.end_time).await?;
        }
        match completed {
            Err(StoreError::Conflict) if self.has(Fault::SilentConflicts) => Ok(LinkEnded::Stored),
            Ok(LinkEnded::UserRemoved) if self.has(Fault::DeafLinks) => Ok(LinkEnded::Stored),
            completed => completed,
        }
    }

    async fn sweep(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        match self.fault {
            Fault::NoSweep => Ok(0),
            Fault::BoundlessSweep => self.ports.link_attempts.sweep(now, 1_000).await,
            _ => self.ports.link_attempts.sweep(now, limit).await,
        }
    }
}
