//! Deletions of persons' data.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{GraphFacts, StoreError, UserDeletions};
use ig_domain::{
    AccountEvent, AccountId, CodeHash, ConfirmationCode, Deletion, DeletionState, InstagramAccount,
    LinkOutcome, LinkRefusal, Phase, RemovalOutcome, SignedRequest,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::hosted_codes::HostedCodeRow;
use super::user_removals::{ids, make_due};
use super::{AttemptRow, FormerAccount, MemoryStore, Rows};

/// Time for which what a deleted account leaves is looked for.
const LATE_WRITE_WINDOW: Duration = Duration::from_secs(10);

#[async_trait]
impl UserDeletions for MemoryStore {
    async fn delete(
        &self,
        request: &SignedRequest,
        code: &ConfirmationCode,
        now: OffsetDateTime,
    ) -> Result<(ConfirmationCode, RemovalOutcome), StoreError> {
        self.transact(|rows, lease_time| {
            if let Some((_, kept)) = rows.deletions.iter().find(|(kept, _)| kept == request) {
                return Ok((kept.code.clone(), again(kept.state)));
            }
            rows.end_attempts_of(request, now);
            let (mut deleted, mut kept, mut events) = (Vec::new(), Vec::new(), Vec::new());
            let of_user = |account: &InstagramAccount| ids(account).any(|id| *id == request.user);
            for (account, _) in rows.accounts.values_mut().filter(|(account, _)| of_user(account)) {
                if account.is_removed_by(request.issue_time) {
                    events.push(AccountEvent::deleted(account));
                    deleted.push(account.id);
                } else {
                    make_due(account, now, self.plan.reading_interval);
                    rows.put_off.insert(account.id, now);
                    kept.push(account.id);
                }
            }
            for id in &deleted {
                let former = rows.former_account(*id);
                rows.former_accounts.extend(former);
                rows.accounts.remove(id);
            }
            self.tell(&mut rows.events, events, lease_time);
            let outcome = RemovalOutcome::of(deleted, kept);
            let state = match outcome {
                _ if rows.mark_former_accounts(request, code) => DeletionState::Running,
                RemovalOutcome::Done { .. } => DeletionState::Deleted,
                RemovalOutcome::ConsentedSince { .. } => DeletionState::ConsentedSince,
                RemovalOutcome::NothingStored => DeletionState::NothingStored,
            };
            let end_time = (state != DeletionState::Running).then_some(now);
            let deletion = Deletion { code: code.clone(), state, request_time: now, end_time };
            rows.deletions.push((request.clone(), deletion));
            rows.deauthorizations.retain(|(kept, _)| {
                kept.user != request.user || kept.issue_time > request.issue_time
            });
            Ok((code.clone(), outcome))
        })
    }

    async fn find(&self, code: &ConfirmationCode) -> Result<Option<Deletion>, StoreError> {
        self.transact(|rows, _| {
            let mut deletions = rows.deletions.iter().map(|(_, deletion)| deletion);
            Ok(deletions.find(|deletion| deletion.code == *code).cloned())
        })
    }

    async fn erase(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.transact(|rows, _| Ok(rows.erase(now, limit)))
    }
}

/// The outcome of a request that came before.
fn again(state: DeletionState) -> RemovalOutcome {
    match state {
        DeletionState::Running | DeletionState::Deleted => {
            RemovalOutcome::Done { accounts: Vec::new() }
        }
        DeletionState::ConsentedSince => RemovalOutcome::ConsentedSince { accounts: Vec::new() },
        DeletionState::NothingStored => RemovalOutcome::NothingStored,
    }
}

/// Ends an attempt as one whose code is spent, and erases the code.
fn reject(
    row: &mut AttemptRow,
    hosted_codes: &mut BTreeMap<CodeHash, HostedCodeRow>,
    now: OffsetDateTime,
) {
    if let Some(hosted) = hosted_codes.get_mut(&row.attempt.code) {
        hosted.erase();
    }
    let refusal = LinkRefusal::CodeRejected(GraphFacts::default());
    row.attempt.phase = Phase::Ended { outcome: LinkOutcome::Refused(refusal), end_time: now };
    row.lease = None;
}

impl Rows {
    /// What an account will leave when it is gone: nothing where its person is not known.
    pub(super) fn former_account(&self, id: AccountId) -> Option<FormerAccount> {
        let (account, _) = self.accounts.get(&id)?;
        let users: Vec<_> = ids(account).cloned().collect();
        let consent_time = account.consent_time;
        (!users.is_empty()).then_some(FormerAccount { id, users, consent_time, code: None })
    }

    fn end_attempts_of(&mut self, request: &SignedRequest, now: OffsetDateTime) {
        for row in self.attempts.values_mut() {
            let Phase::Exchanged(grant) = &row.attempt.phase else { continue };
            let consent = &grant.consent;
            let is_user = consent.user_id.as_ref() == Some(&request.user);
            let received = consent.receive_time.unix_timestamp();
            if is_user && received <= request.issue_time.unix_timestamp() {
                reject(row, &mut self.hosted_codes, now);
            }
        }
    }

    fn mark_former_accounts(&mut self, request: &SignedRequest, code: &ConfirmationCode) -> bool {
        let issued = request.issue_time.unix_timestamp();
        let mut is_marked = false;
        for former in self.former_accounts.iter_mut().filter(|former| former.code.is_none()) {
            let is_older = former.consent_time.unix_timestamp() <= issued;
            if is_older && former.users.contains(&request.user) {
                former.code = Some(code.clone());
                is_marked = true;
            }
        }
        is_marked
    }

    fn erase(&mut self, now: OffsetDateTime, limit: usize) -> u64 {
        let former = self.former_accounts.iter().find(|former| former.code.is_some());
        let Some(FormerAccount { id, code: Some(code), .. }) = former.cloned() else { return 0 };
        let touched = self.erase_rows(id, now, limit);
        if touched > 0 {
            return touched;
        }
        let of_code = |deletion: &Deletion| deletion.code == code;
        let deletion = self.deletions.iter_mut().find(|(_, deletion)| of_code(deletion));
        let Some((_, deletion)) = deletion else { return 0 };
        if deletion.request_time + LATE_WRITE_WINDOW > now {
            return 0;
        }
        self.former_accounts.retain(|former| former.id != id);
        if !self.former_accounts.iter().any(|former| former.code.as_ref() == Some(&code)) {
            (deletion.state, deletion.end_time) = (DeletionState::Deleted, Some(now));
        }
        1
    }

    fn erase_rows(&mut self, id: AccountId, now: OffsetDateTime, limit: usize) -> u64 {
        let mut touched = self.events.erase(id, limit);
        for entry in self.audit.iter_mut().filter(|entry| entry.account == id).take(limit) {
            entry.account = AccountId::from_uuid(Uuid::nil());
            entry.professional_account_id = crate::builders::parsed("0");
            touched += 1;
        }
        for row in self.attempts.values_mut() {
            let linked = match &row.attempt.phase {
                Phase::Ended { outcome: LinkOutcome::Linked { account, .. }, .. } => Some(*account),
                _ => None,
            };
            if linked == Some(id) || row.attempt.account == Some(id) {
                reject(row, &mut self.hosted_codes, now);
                row.attempt.account = None;
                touched += 1;
            }
        }
        let pending = self.pending_links.len();
        self.pending_links.retain(|_, pending| pending.account != Some(id));
        touched += (pending - self.pending_links.len()) as u64;
        touched + u64::from(self.renewals.remove(&id).is_some())
    }
}
