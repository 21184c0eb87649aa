//! Pending links and attempts.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    ATTEMPT_LEASE, CompletedLink, GraphFacts, LinkAttempts, LinkEnded, PendingLinks, RENEWAL_LEASE,
    StoreError,
};
use ig_domain::{
    AccountId, CODE_LIFETIME, CodeHash, LINK_RETENTION, LeaseHolder, LinkAttempt, LinkOutcome,
    LinkRefusal, PendingLink, Phase, SHORT_LIVED_LIFETIME, StateHash,
};
use time::OffsetDateTime;

use super::accounts::Linked;
use super::{AttemptRow, Guard, Lease, MemoryStore, Rows, is_held};

#[async_trait]
impl PendingLinks for MemoryStore {
    async fn insert(&self, pending: &PendingLink) -> Result<(), StoreError> {
        self.transact(|rows, _| {
            if rows.pending_links.contains_key(&pending.state) {
                return Err(StoreError::Conflict);
            }
            rows.pending_links.insert(pending.state, pending.clone());
            Ok(())
        })
    }

    async fn find(&self, state: &StateHash) -> Result<Option<PendingLink>, StoreError> {
        self.transact(|rows, _| Ok(rows.pending_links.get(state).cloned()))
    }
}

impl MemoryStore {
    /// The attempt, if `holder` holds it.
    fn held<'a>(
        &self,
        rows: &'a mut Rows,
        code: &CodeHash,
        holder: LeaseHolder,
    ) -> Result<&'a mut AttemptRow, StoreError> {
        let row = rows.attempts.get_mut(code).ok_or(StoreError::LeaseLost)?;
        let held = row.lease.is_some_and(|lease| lease.holder == holder);
        let open = !matches!(row.attempt.phase, Phase::Ended { .. });
        let held = (held && open) || self.lacks(Guard::Lease);
        if held { Ok(row) } else { Err(StoreError::LeaseLost) }
    }

    fn end(
        &self,
        rows: &mut Rows,
        code: &CodeHash,
        holder: LeaseHolder,
        outcome: LinkOutcome,
        end_time: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let row = self.held(rows, code, holder)?;
        row.attempt.phase = Phase::Ended { outcome, end_time };
        row.lease = None;
        Ok(())
    }

    fn move_to(&self, row: &mut AttemptRow, phase: &Phase) {
        let unmarked = matches!(phase, Phase::Sent) && self.lacks(Guard::SentMark);
        if !unmarked {
            row.attempt.phase = phase.clone();
        }
    }
}

#[async_trait]
impl LinkAttempts for MemoryStore {
    async fn find(&self, code: &CodeHash) -> Result<Option<LinkAttempt>, StoreError> {
        self.transact(|rows, _| Ok(rows.attempts.get(code).map(|row| row.attempt.clone())))
    }

    async fn create(&self, attempt: &LinkAttempt, holder: LeaseHolder) -> Result<(), StoreError> {
        self.transact(|rows, now| {
            let pending = rows.pending_links.get_mut(&attempt.state);
            let unspent = pending.filter(|pending| pending.spent_by.is_none());
            let pending = unspent.ok_or(StoreError::Conflict)?;
            if rows.attempts.contains_key(&attempt.code) {
                return Err(StoreError::Conflict);
            }
            pending.spent_by = Some(attempt.code);
            let lease = Some(Lease { holder, end: now + ATTEMPT_LEASE });
            let begun = LinkAttempt { phase: Phase::Unsent, ..attempt.clone() };
            let mut row = AttemptRow { attempt: begun, lease };
            self.move_to(&mut row, &attempt.phase);
            rows.attempts.insert(attempt.code, row);
            Ok(())
        })
    }

    async fn discard_unsent(&self, code: &CodeHash, state: &StateHash) -> Result<bool, StoreError> {
        self.transact(|rows, now| {
            let Some(row) = rows.attempts.get(code) else { return Ok(false) };
            let unsent = matches!(row.attempt.phase, Phase::Unsent);
            if !unsent || is_held(row.lease, ATTEMPT_LEASE, now) {
                return Ok(false);
            }
            rows.attempts.remove(code);
            let pending = rows.pending_links.get_mut(state);
            if let Some(pending) = pending.filter(|pending| pending.spent_by == Some(*code)) {
                pending.spent_by = None;
            }
            Ok(true)
        })
    }

    async fn claim(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
    ) -> Result<Option<LinkAttempt>, StoreError> {
        let guarded = !self.lacks(Guard::Lease);
        self.transact(|rows, now| {
            let Some(row) = rows.attempts.get_mut(code) else { return Ok(None) };
            let ended = matches!(row.attempt.phase, Phase::Ended { .. });
            if ended || (guarded && is_held(row.lease, ATTEMPT_LEASE, now)) {
                return Ok(None);
            }
            row.lease = Some(Lease { holder, end: now + ATTEMPT_LEASE });
            Ok(Some(row.attempt.clone()))
        })
    }

    async fn advance(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        self.transact(|rows, now| {
            let row = self.held(rows, code, holder)?;
            self.move_to(row, phase);
            let ended = matches!(phase, Phase::Ended { .. });
            row.lease = (!ended).then_some(Lease { holder, end: now + ATTEMPT_LEASE });
            Ok(())
        })
    }

    async fn release(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        self.transact(|rows, _| {
            let row = self.held(rows, code, holder)?;
            self.move_to(row, phase);
            row.lease = None;
            Ok(())
        })
    }

    async fn complete(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        link: &CompletedLink,
    ) -> Result<LinkEnded, StoreError> {
        self.transact(|rows, now| {
            let code_time = self.held(rows, code, holder)?.attempt.create_time;
            let removal = rows.removal_since(&link.account, code_time);
            if let Some(is_deleted) = removal.filter(|_| !self.lacks(Guard::RemovalCheck)) {
                let refusal = LinkRefusal::CodeRejected(GraphFacts::default());
                self.end(rows, code, holder, LinkOutcome::Refused(refusal), link.end_time)?;
                if is_deleted {
                    rows.erase_attempts(|attempt| attempt.code == *code);
                }
                return Ok(LinkEnded::UserRemoved);
            }
            let CompletedLink { displaced, account, former_revision, token, .. } = link;
            let token = token.as_ref();
            let (displaced, former) = (*displaced, *former_revision);
            let linked = Linked { displaced, account, former, token, is_import: false };
            self.store_linked(rows, &linked, now)?;
            self.end(rows, code, holder, LinkOutcome::of(link), link.end_time)?;
            Ok(LinkEnded::Stored)
        })
    }

    async fn sweep(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.transact(|rows, lease_time| {
            let stale = |row: &AttemptRow| is_stale(row, now, lease_time);
            let mut touched = 0;
            for row in rows.attempts.values_mut().filter(|row| stale(row)).take(limit) {
                let refusal = match row.attempt.phase {
                    Phase::Unsent => LinkRefusal::CodeRejected(GraphFacts::default()),
                    _ => LinkRefusal::Interrupted,
                };
                let outcome = LinkOutcome::Refused(refusal);
                row.attempt.phase = Phase::Ended { outcome, end_time: now };
                row.lease = None;
                touched += 1;
            }
            let over = |row: &AttemptRow| match row.attempt.phase {
                Phase::Ended { end_time, .. } => end_time + LINK_RETENTION <= now,
                _ => false,
            };
            let codes = rows.attempts.iter().filter(|(_, row)| over(row)).map(|(code, _)| *code);
            for code in codes.take(limit).collect::<Vec<_>>() {
                rows.attempts.remove(&code);
                touched += 1;
            }
            let past = |pending: &PendingLink| pending.expire_time + LINK_RETENTION <= now;
            let states = rows.pending_links.values().filter(|pending| past(pending));
            let states = states.map(|pending| pending.state).take(limit).collect::<Vec<_>>();
            for state in states {
                rows.pending_links.remove(&state);
                touched += 1;
            }
            touched += rows.forget_deauthorizations(now, limit);
            touched += rows.sweep_hosted_codes(now, limit);
            let accounts = &rows.accounts;
            let gone = |(account, lease): &(&AccountId, &Lease)| {
                !is_held(Some(**lease), RENEWAL_LEASE, lease_time)
                    && !accounts.contains_key(account)
            };
            let leases = rows.renewals.iter().filter(gone).map(|(account, _)| *account);
            for account in leases.take(limit).collect::<Vec<_>>() {
                rows.renewals.remove(&account);
                touched += 1;
            }
            Ok(touched)
        })
    }
}

impl Rows {
    /// Erases attempts, their states, and the codes that were kept for them. Returns their number.
    pub(super) fn erase_attempts(&mut self, which: impl Fn(&LinkAttempt) -> bool) -> u64 {
        let erased =
            self.attempts.values().map(|row| &row.attempt).filter(|attempt| which(attempt));
        let erased: Vec<_> = erased.map(|attempt| (attempt.code, attempt.state)).collect();
        for (code, state) in &erased {
            self.attempts.remove(code);
            self.pending_links.remove(state);
            self.hosted_codes.remove(code);
        }
        erased.len() as u64
    }
}

/// Whether nobody holds the attempt and it can no longer succeed.
fn is_stale(row: &AttemptRow, now: OffsetDateTime, lease_time: Duration) -> bool {
    let end = match &row.attempt.phase {
        Phase::Unsent | Phase::Sent => row.attempt.create_time + CODE_LIFETIME,
        Phase::Exchanged(grant) => grant.consent.receive_time + SHORT_LIVED_LIFETIME,
        Phase::Ended { .. } => return false,
    };
    !is_held(row.lease, ATTEMPT_LEASE, lease_time) && end <= now
}
