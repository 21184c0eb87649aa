//! Counts of links by outcome.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ig_domain::ports::{CompletedLink, LinkAttempts, StoreError};
use ig_domain::{CodeHash, LeaseHolder, LinkAttempt, LinkOutcome, LinkRefusal, Phase};
use ig_metrics::{Counts, Registry};
use time::OffsetDateTime;

/// Maximum number of postponed links that are remembered. The oldest is forgotten first, and may count again.
const MAX_REMEMBERED: usize = 4096;

/// Outcome of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Created,
    Relinked,
    Postponed,
    CodeRejected,
    PersonalAccount,
    ScopeMissing,
    WrongAccount,
    OwnedByAnother,
    Interrupted,
    Unreadable,
}

ig_metrics::label!(Ended, "outcome", {
    Created => "created",
    Relinked => "relinked",
    Postponed => "postponed",
    CodeRejected => "code_rejected",
    PersonalAccount => "personal_account",
    ScopeMissing => "scope_missing",
    WrongAccount => "wrong_account",
    OwnedByAnother => "owned_by_another",
    Interrupted => "interrupted",
    Unreadable => "unreadable",
});

impl From<&LinkRefusal> for Ended {
    fn from(refusal: &LinkRefusal) -> Self {
        match refusal {
            LinkRefusal::CodeRejected(_) => Self::CodeRejected,
            LinkRefusal::PersonalAccount => Self::PersonalAccount,
            LinkRefusal::ScopeMissing { .. } => Self::ScopeMissing,
            LinkRefusal::WrongAccount => Self::WrongAccount,
            LinkRefusal::OwnedByAnother => Self::OwnedByAnother,
            LinkRefusal::Interrupted => Self::Interrupted,
            LinkRefusal::Unreadable(_) => Self::Unreadable,
        }
    }
}

/// Counts links by outcome.
#[derive(Clone)]
pub struct LinkCounts(Counts<Ended>);

impl LinkCounts {
    /// Registers all at zero.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        Self(Counts::register(registry, "links", "Links by what became of them"))
    }
}

/// Attempts whose ends are counted.
pub struct CountedAttempts {
    inner: Arc<dyn LinkAttempts>,
    counts: LinkCounts,
    postponed: Mutex<VecDeque<CodeHash>>,
}

impl CountedAttempts {
    /// The attempts of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn LinkAttempts>, counts: LinkCounts) -> Self {
        Self { inner, counts, postponed: Mutex::default() }
    }

    /// Counts a link as postponed, once.
    fn count_postponed(&self, code: &CodeHash) {
        let mut postponed = self.postponed.lock().unwrap_or_else(PoisonError::into_inner);
        if postponed.contains(code) {
            return;
        }
        if postponed.len() == MAX_REMEMBERED {
            postponed.pop_front();
        }
        postponed.push_back(*code);
        self.counts.0.count(Ended::Postponed);
    }
}

#[async_trait]
impl LinkAttempts for CountedAttempts {
    async fn find(&self, code: &CodeHash) -> Result<Option<LinkAttempt>, StoreError> {
        self.inner.find(code).await
    }

    async fn create(&self, attempt: &LinkAttempt, holder: LeaseHolder) -> Result<(), StoreError> {
        self.inner.create(attempt, holder).await
    }

    async fn claim(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
    ) -> Result<Option<LinkAttempt>, StoreError> {
        self.inner.claim(code, holder).await
    }

    async fn advance(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        self.inner.advance(code, holder, phase).await?;
        if let Phase::Ended { outcome: LinkOutcome::Refused(refusal), .. } = phase {
            self.counts.0.count(refusal.into());
        }
        Ok(())
    }

    async fn release(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        self.inner.release(code, holder, phase).await?;
        self.count_postponed(code);
        Ok(())
    }

    async fn complete(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        link: &CompletedLink,
    ) -> Result<(), StoreError> {
        self.inner.complete(code, holder, link).await?;
        let created = link.former_revision.is_none();
        self.counts.0.count(if created { Ended::Created } else { Ended::Relinked });
        Ok(())
    }

    async fn sweep(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.inner.sweep(now, limit).await
    }
}
