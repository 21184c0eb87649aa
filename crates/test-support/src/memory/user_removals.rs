//! Removals of persons.

use std::mem;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{StoreError, UserRemovals};
use ig_domain::{
    AccountEvent, AppScopedUserId, InstagramAccount, LINK_RETENTION, RemovalOutcome, SignedRequest,
};
use time::OffsetDateTime;

use super::{Guard, MemoryStore, Rows};

#[async_trait]
impl UserRemovals for MemoryStore {
    async fn deauthorize(
        &self,
        request: &SignedRequest,
        now: OffsetDateTime,
    ) -> Result<RemovalOutcome, StoreError> {
        self.transact(|rows, lease_time| {
            if !rows.deauthorizations.iter().any(|(kept, _)| kept == request) {
                rows.deauthorizations.push((request.clone(), now));
            }
            let (mut removed, mut kept, mut events) = (Vec::new(), Vec::new(), Vec::new());
            let of_user = |account: &InstagramAccount| ids(account).any(|id| *id == request.user);
            for (account, token) in rows.accounts.values_mut() {
                if !of_user(account) {
                    continue;
                }
                if !self.is_covered(account, request) {
                    make_due(account, now, self.plan.reading_interval);
                    rows.put_off.insert(account.id, now);
                    kept.push(account.id);
                    continue;
                }
                *token = None;
                if let Some(marked) = account.deauthorized(now) {
                    let former = mem::replace(account, marked);
                    events.extend(AccountEvent::between(&former, account));
                }
                removed.push(account.id);
            }
            self.tell(&mut rows.events, events, lease_time);
            Ok(RemovalOutcome::of(removed, kept))
        })
    }
}

impl MemoryStore {
    /// Whether the request holds for an account of its person.
    pub(super) fn is_covered(&self, account: &InstagramAccount, request: &SignedRequest) -> bool {
        account.is_removed_by(request.issue_time) || self.lacks(Guard::RemovalAge)
    }
}

impl Rows {
    /// A removal of the account's person that was issued in the second of `since`, or later: `true` for a deletion.
    pub(super) fn removal_since(
        &self,
        account: &InstagramAccount,
        since: OffsetDateTime,
    ) -> Option<bool> {
        let holds = |request: &SignedRequest| {
            ids(account).any(|id| *id == request.user)
                && since.unix_timestamp() <= request.issue_time.unix_timestamp()
        };
        let is_deleted = self.deletions.iter().any(|row| holds(&row.request));
        let is_removed = self.deauthorizations.iter().any(|(request, _)| holds(request));
        (is_deleted || is_removed).then_some(is_deleted)
    }

    /// Forgets deauthorisations that are long over. Returns their number.
    pub(super) fn forget_deauthorizations(&mut self, now: OffsetDateTime, limit: usize) -> u64 {
        let mut forgotten = 0;
        self.deauthorizations.retain(|(_, request_time)| {
            let old = *request_time + LINK_RETENTION <= now && forgotten < limit;
            forgotten += usize::from(old);
            !old
        });
        forgotten as u64
    }
}

/// Lets the account be visited next.
pub(super) fn make_due(account: &mut InstagramAccount, now: OffsetDateTime, interval: Duration) {
    account.profile_time = account.profile_time.min(now - interval);
    (account.failures.count, account.failures.retry_time) = (0, None);
}

/// Ids of an account's person.
pub(super) fn ids(account: &InstagramAccount) -> impl Iterator<Item = &AppScopedUserId> {
    account.app_scoped_user_id.iter().chain(&account.exchange_user_id)
}
