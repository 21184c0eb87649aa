//! Deletions of persons' data.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{StoreError, UserDeletions};
use ig_domain::{
    AccountEvent, AccountId, AppScopedUserId, ConfirmationCode, Deletion, DeletionState,
    InstagramAccount, LinkOutcome, Phase, RemovalOutcome, ShortLivedGrant, SignedRequest,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::user_removals::{ids, make_due};
use super::{DeletionRow, FormerAccount, Guard, MemoryStore, Rows};

/// Time for which what a deleted account leaves is looked for.
const LATE_WRITE_WINDOW: Duration = Duration::from_secs(30);

#[async_trait]
impl UserDeletions for MemoryStore {
    async fn delete(
        &self,
        request: &SignedRequest,
        code: &ConfirmationCode,
        now: OffsetDateTime,
    ) -> Result<(ConfirmationCode, RemovalOutcome), StoreError> {
        self.transact(|rows, lease_time| {
            if let Some(kept) = rows.deletions.iter().find(|kept| kept.request == *request) {
                let (marked, _) = rows.former_accounts_of(&request.user);
                return Ok((kept.deletion.code.clone(), again(kept.deletion.state, marked)));
            }
            rows.erase_attempts_of(request);
            let (mut deleted, mut kept, mut events) = (Vec::new(), Vec::new(), Vec::new());
            let of_user = |account: &InstagramAccount| ids(account).any(|id| *id == request.user);
            for (account, _) in rows.accounts.values_mut().filter(|(account, _)| of_user(account)) {
                if self.is_covered(account, request) {
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
            rows.mark_former_accounts(request, code);
            let (marked, unmarked) = rows.former_accounts_of(&request.user);
            let kept = [unmarked, kept].concat();
            let (state, end) = states(&marked, &kept);
            let end_time = (state != DeletionState::Running).then_some(now);
            let deletion = Deletion { code: code.clone(), state, request_time: now, end_time };
            rows.deletions.push(DeletionRow { request: request.clone(), deletion, end });
            rows.deauthorizations.retain(|(kept, _)| {
                kept.user != request.user || kept.issue_time > request.issue_time
            });
            Ok((code.clone(), RemovalOutcome::of(marked, kept)))
        })
    }

    async fn find(&self, code: &ConfirmationCode) -> Result<Option<Deletion>, StoreError> {
        self.transact(|rows, _| {
            let mut deletions = rows.deletions.iter().map(|row| &row.deletion);
            Ok(deletions.find(|deletion| deletion.code == *code).cloned())
        })
    }

    async fn erase(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let events = !self.lacks(Guard::Erasure);
        self.transact(|rows, _| Ok(rows.erase(now, limit, events)))
    }
}

/// The outcome of a request that came before.
fn again(state: DeletionState, marked: Vec<AccountId>) -> RemovalOutcome {
    match state {
        DeletionState::ConsentedSince => RemovalOutcome::ConsentedSince { accounts: Vec::new() },
        DeletionState::NothingStored => RemovalOutcome::NothingStored,
        DeletionState::Running | DeletionState::Deleted | DeletionState::OlderDeleted => {
            RemovalOutcome::Done { accounts: marked }
        }
    }
}

/// State of a deletion, and the one in which it ends, by accounts that are being erased and such of newer consents.
fn states(marked: &[AccountId], kept: &[AccountId]) -> (DeletionState, DeletionState) {
    match (marked, kept) {
        ([], []) => (DeletionState::NothingStored, DeletionState::NothingStored),
        ([], _) => (DeletionState::ConsentedSince, DeletionState::ConsentedSince),
        (_, []) => (DeletionState::Running, DeletionState::Deleted),
        (_, _) => (DeletionState::Running, DeletionState::OlderDeleted),
    }
}

impl Rows {
    /// What an account will leave when it is gone: nothing where its person is not known.
    pub(super) fn former_account(&self, id: AccountId) -> Option<FormerAccount> {
        let (account, _) = self.accounts.get(&id)?;
        let users: Vec<_> = ids(account).cloned().collect();
        let consent_time = account.consent_time;
        (!users.is_empty()).then_some(FormerAccount { id, users, consent_time, code: None })
    }

    fn erase_attempts_of(&mut self, request: &SignedRequest) {
        let persons = self.accounts.values().map(|(account, _)| account);
        let persons = persons.filter(|account| ids(account).any(|id| *id == request.user));
        let persons: Vec<_> = persons.flat_map(|account| ids(account).cloned()).collect();
        self.erase_attempts(|attempt| {
            let Phase::Exchanged(ShortLivedGrant { consent, .. }) = &attempt.phase else {
                return false;
            };
            let is_person =
                |user: &AppScopedUserId| *user == request.user || persons.contains(user);
            consent.user_id.as_ref().is_some_and(is_person)
                && attempt.create_time.unix_timestamp() <= request.issue_time.unix_timestamp()
        });
    }

    fn mark_former_accounts(&mut self, request: &SignedRequest, code: &ConfirmationCode) {
        let issued = request.issue_time.unix_timestamp();
        for former in self.former_accounts.iter_mut().filter(|former| former.code.is_none()) {
            let is_older = former.consent_time.unix_timestamp() <= issued;
            if is_older && former.users.contains(&request.user) {
                former.code = Some(code.clone());
            }
        }
    }

    /// The person's accounts that are gone: those that are being erased, and the others.
    fn former_accounts_of(&self, user: &AppScopedUserId) -> (Vec<AccountId>, Vec<AccountId>) {
        let of_user = self.former_accounts.iter().filter(|former| former.users.contains(user));
        let (marked, others): (Vec<_>, Vec<_>) = of_user.partition(|former| former.code.is_some());
        let ids =
            |former: Vec<&FormerAccount>| former.into_iter().map(|former| former.id).collect();
        (ids(marked), ids(others))
    }

    /// `events`: whether the events of the accounts are erased, too.
    fn erase(&mut self, now: OffsetDateTime, limit: usize, events: bool) -> u64 {
        let marked = self.former_accounts.iter().filter(|former| former.code.is_some());
        let marked: Vec<_> = marked.cloned().collect();
        let mut touched = 0;
        for former in &marked {
            touched += if events { self.events.erase(former.id, limit) } else { 0 };
            touched += self.erase_rows(former.id, limit);
        }
        if touched > 0 {
            return touched;
        }
        marked.iter().map(|former| u64::from(self.end_erasure(former, now))).sum()
    }

    /// Forgets that the account was there, unless something of it may come still.
    fn end_erasure(&mut self, former: &FormerAccount, now: OffsetDateTime) -> bool {
        let asked =
            self.deletions.iter().find(|row| Some(&row.deletion.code) == former.code.as_ref());
        if asked.is_none_or(|row| row.deletion.request_time + LATE_WRITE_WINDOW > now) {
            return false;
        }
        self.former_accounts.retain(|kept| kept.id != former.id);
        for user in &former.users {
            if self.former_accounts_of(user).0.is_empty() {
                self.end_deletions_of(user, now);
            }
        }
        true
    }

    fn end_deletions_of(&mut self, user: &AppScopedUserId, now: OffsetDateTime) {
        for row in self.deletions.iter_mut().filter(|row| row.request.user == *user) {
            if row.deletion.state == DeletionState::Running {
                (row.deletion.state, row.deletion.end_time) = (row.end, Some(now));
            }
        }
    }

    /// Erases all but events.
    fn erase_rows(&mut self, id: AccountId, limit: usize) -> u64 {
        let mut touched = 0;
        for entry in self.audit.iter_mut().filter(|entry| entry.account == id).take(limit) {
            entry.account = AccountId::from_uuid(Uuid::nil());
            entry.professional_account_id = crate::builders::parsed("0");
            touched += 1;
        }
        touched += self.erase_attempts(|attempt| {
            let linked = match &attempt.phase {
                Phase::Ended { outcome: LinkOutcome::Linked { account, .. }, .. } => Some(*account),
                _ => None,
            };
            linked == Some(id) || attempt.account == Some(id)
        });
        let pending = self.pending_links.len();
        self.pending_links.retain(|_, pending| pending.account != Some(id));
        touched += (pending - self.pending_links.len()) as u64;
        touched + u64::from(self.renewals.remove(&id).is_some())
    }
}
