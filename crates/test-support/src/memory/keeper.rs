//! Due accounts, and the app's breaker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    AppBreaker, Breaker, ClaimedAccount, DueAccounts, OpenBreaker, RENEWAL_LEASE, StoreError,
    VisitChange, VisitResult,
};
use ig_domain::{
    AccountId, GrantedScopes, InstagramAccount, KeepingPlan, LeaseHolder, LongLivedToken,
    ReauthorizationReason, TroubleCause, URGENT_LIFETIME, VisitFailures, WebhookSubscription,
};
use time::OffsetDateTime;

use super::accounts::update;
use super::{Guard, Lease, MemoryStore, Rows, is_held};

/// Next visits that were computed: to compute one takes two hashes, which a claim would take of all accounts.
#[derive(Default)]
pub(super) struct Schedule(HashMap<AccountId, (Dates, Option<OffsetDateTime>)>);

/// All of an account that its next visit depends on.
#[derive(PartialEq)]
struct Dates {
    token_issue_time: Option<OffsetDateTime>,
    token_expire_time: Option<OffsetDateTime>,
    profile_time: OffsetDateTime,
    update_time: OffsetDateTime,
    consent_time: OffsetDateTime,
    granted_scopes: GrantedScopes,
    refused: Option<ReauthorizationReason>,
    failures: VisitFailures,
    subscription: Option<WebhookSubscription>,
    plan: Arc<KeepingPlan>,
}

impl Schedule {
    fn next_visit_time(
        &mut self,
        account: &InstagramAccount,
        plan: &Arc<KeepingPlan>,
    ) -> Option<OffsetDateTime> {
        let dates = Dates {
            token_issue_time: account.token_issue_time,
            token_expire_time: account.token_expire_time,
            profile_time: account.profile_time,
            update_time: account.update_time,
            consent_time: account.consent_time,
            granted_scopes: account.granted_scopes.clone(),
            refused: account.refused,
            failures: account.failures,
            subscription: account.subscription,
            plan: Arc::clone(plan),
        };
        match self.0.get(&account.id) {
            Some((known, next)) if *known == dates => *next,
            _ => {
                let next = account.next_visit_time(plan);
                self.0.insert(account.id, (dates, next));
                next
            }
        }
    }
}

impl Rows {
    /// Moment of the next visit of an account; `None` where there is none.
    pub(super) fn next_visit_time(
        &mut self,
        id: AccountId,
        plan: &Arc<KeepingPlan>,
    ) -> Option<OffsetDateTime> {
        let (account, _) = self.accounts.get(&id)?;
        let put_off = self.put_off.get(&id).copied();
        put_off.or_else(|| self.schedule.next_visit_time(account, plan))
    }
}

/// The app's breaker as it is stored.
#[derive(Clone, Copy, Default)]
pub(super) struct BreakerRow {
    breaker: Breaker,
    probe_time: Option<OffsetDateTime>,
}

#[async_trait]
impl DueAccounts for MemoryStore {
    async fn claim_due(
        &self,
        now: OffsetDateTime,
        holder: LeaseHolder,
        limit: u64,
    ) -> Result<Vec<ClaimedAccount>, StoreError> {
        let guarded = !self.lacks(Guard::Lease) && !self.lacks(Guard::ClaimLease);
        let plan = Arc::clone(&self.plan);
        self.transact(|rows, lease_time| {
            let Rows { accounts, renewals, put_off, schedule, .. } = rows;
            let mut due = Vec::new();
            for (account, token) in accounts.values() {
                let scheduled = || schedule.next_visit_time(account, &plan);
                let next = put_off.get(&account.id).copied().or_else(scheduled);
                let Some(next) = next.filter(|next| *next <= now) else { continue };
                if !guarded
                    || !is_held(renewals.get(&account.id).copied(), RENEWAL_LEASE, lease_time)
                {
                    due.push((next, account.clone(), token.clone()));
                }
            }
            due.sort_by_key(|(next, account, _)| {
                let expiry = account.token_expire_time;
                let ends_soon = expiry.is_some_and(|expiry| expiry <= now + URGENT_LIFETIME);
                let urgent = account.refused.is_none() && ends_soon;
                (!urgent, expiry.filter(|_| urgent), *next)
            });
            due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let due = due.into_iter().map(|(_, account, token)| (account, token));
            let due: Vec<_> = due.collect();
            for (account, _) in &due {
                rows.renewals.insert(account.id, Lease { holder, end: lease_time + RENEWAL_LEASE });
            }
            let claimed =
                |found: (InstagramAccount, _)| ClaimedAccount { id: found.0.id, found: Ok(found) };
            Ok(due.into_iter().map(claimed).collect())
        })
    }

    async fn finish(
        &self,
        results: &[(LeaseHolder, VisitResult)],
    ) -> Result<Vec<AccountId>, StoreError> {
        let fenced = !self.lacks(Guard::Lease);
        let guarded = !self.lacks(Guard::Revision) && !self.lacks(Guard::ResultCheck);
        self.transact(|rows, now| {
            let mut unstored = Vec::new();
            for (holder, result) in results {
                let VisitResult { id, change } = result;
                let held = rows.renewals.get(id).is_some_and(|lease| lease.holder == *holder);
                if held && !result.renews() {
                    rows.renewals.remove(id);
                }
                let Some(change) = change else { continue };
                let VisitChange { account, former_revision, former_profile_time, token } = change;
                let as_read = |stored: &InstagramAccount| {
                    let version = (stored.revision, stored.profile_time);
                    !guarded || version == (*former_revision, *former_profile_time)
                };
                let allowed = !fenced || held || token.is_some();
                let mut store = || update(&mut rows.accounts, account, token.clone(), as_read).ok();
                if let Some(event) = allowed.then(&mut store).flatten() {
                    self.tell(&mut rows.events, event, now);
                    rows.put_off.remove(id);
                    if held {
                        rows.renewals.remove(id);
                    }
                } else {
                    unstored.push(*id);
                }
            }
            Ok(unstored)
        })
    }

    async fn put_off(
        &self,
        id: AccountId,
        holder: LeaseHolder,
        until: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.transact(|rows, _| {
            if rows.renewals.get(&id).is_some_and(|lease| lease.holder == holder) {
                rows.renewals.remove(&id);
                rows.put_off.insert(id, until);
            }
            Ok(())
        })
    }

    /// Every change is scheduled here: there is no other version.
    async fn schedule_missed(&self, _limit: u64) -> Result<u64, StoreError> {
        self.transact(|_, _| Ok(0))
    }

    async fn witnesses(
        &self,
        except: AccountId,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<(InstagramAccount, LongLivedToken)>, StoreError> {
        if self.lacks(Guard::Witness) {
            return Ok(Vec::new());
        }
        self.transact(|rows, _| {
            let mut others: Vec<_> = rows
                .accounts
                .values()
                .filter(|(account, _)| account.id != except && account.refused.is_none())
                .filter(|(account, _)| !account.is_expired(now))
                .filter_map(|(account, token)| Some((account.clone(), token.clone()?)))
                .collect();
            others.sort_by_key(|(account, _)| std::cmp::Reverse(account.profile_time));
            others.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(others)
        })
    }
}

#[async_trait]
impl AppBreaker for MemoryStore {
    async fn load(&self) -> Result<Breaker, StoreError> {
        self.transact(|rows, _| Ok(rows.breaker.breaker))
    }

    async fn open(&self, cause: TroubleCause, now: OffsetDateTime) -> Result<bool, StoreError> {
        if self.lacks(Guard::Breaker) {
            return Ok(true);
        }
        self.transact(|rows, _| {
            let row = &mut rows.breaker;
            if row.breaker.open.is_some() {
                return Ok(false);
            }
            row.breaker.open = Some(OpenBreaker { cause, since_time: now });
            row.probe_time = Some(now);
            Ok(true)
        })
    }

    async fn close(
        &self,
        since_time: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        self.transact(|rows, _| {
            let breaker = &mut rows.breaker.breaker;
            let closes = breaker.open.is_some_and(|open| open.since_time == since_time);
            if closes {
                *breaker = Breaker { open: None, close_time: Some(now) };
            }
            Ok(closes)
        })
    }

    async fn take_probe(
        &self,
        now: OffsetDateTime,
        interval: Duration,
    ) -> Result<bool, StoreError> {
        self.transact(|rows, _| {
            let row = &mut rows.breaker;
            let due = row.probe_time.is_none_or(|last| last <= now - interval);
            let taken = row.breaker.open.is_some() && due;
            if taken {
                row.probe_time = Some(now);
            }
            Ok(taken)
        })
    }
}
