//! Surveys of all accounts.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::InstagramAccount;
use ig_domain::ports::{OVERDUE_AFTER, StoreError, Survey, Surveys, WorstAccount};
use time::OffsetDateTime;

use super::{MemoryStore, Rows};

/// The app's last survey as it is stored.
#[derive(Clone, Default)]
pub(super) struct SurveyRow {
    survey: Option<Survey>,
    turn_time: Option<OffsetDateTime>,
}

#[async_trait]
impl Surveys for MemoryStore {
    async fn survey(&self, now: OffsetDateTime) -> Result<Survey, StoreError> {
        let of_other_apps = self.accounts_of_other_apps();
        self.transact(|rows, _| {
            let accounts: Vec<_> = rows.accounts.values().map(|(account, _)| account).collect();
            let (active, dead): (Vec<&InstagramAccount>, Vec<&InstagramAccount>) =
                accounts.iter().partition(|account| is_alive(account, now));
            let visits = accounts.iter().filter_map(|account| self.next_visit(rows, account));
            let due: Vec<_> = visits.filter(|next| *next <= now).collect();
            let mut survey = Survey {
                time: now,
                active: active.len() as u64,
                reauthorization_required: dead.len() as u64,
                first_expire_time: active
                    .iter()
                    .filter_map(|account| account.token_expire_time)
                    .min(),
                due: due.len() as u64,
                overdue: due.iter().filter(|next| **next <= now - OVERDUE_AFTER).count() as u64,
                longest_due_time: due.iter().min().copied(),
                in_trouble: BTreeMap::new(),
                of_other_apps,
            };
            for trouble in accounts.iter().filter_map(|account| account.failures.trouble) {
                *survey.in_trouble.entry(trouble.cause).or_default() += 1;
            }
            Ok(survey)
        })
    }

    async fn worst(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<WorstAccount>, StoreError> {
        self.transact(|rows, _| {
            let living = rows.accounts.values().map(|(account, _)| account);
            let living = living.filter(|account| account.refused.is_none());
            let with_visit = living.map(|account| WorstAccount {
                account: account.clone(),
                next_visit_time: self.next_visit(rows, account),
            });
            let is_bad = |one: &WorstAccount| {
                let overdue = one.next_visit_time.is_some_and(|next| next <= now - OVERDUE_AFTER);
                overdue || one.account.failures.trouble.is_some()
            };
            let mut worst: Vec<_> = with_visit.filter(is_bad).collect();
            worst.sort_by_key(|one| {
                let expiry = one.account.token_expire_time;
                (expiry.is_none(), expiry, one.account.id)
            });
            worst.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(worst)
        })
    }

    async fn take_turn(&self, now: OffsetDateTime, interval: Duration) -> Result<bool, StoreError> {
        self.transact(|rows, _| {
            let last = rows.survey.turn_time;
            let is_over = last.is_none_or(|last| last <= now - interval || last > now + interval);
            if is_over {
                rows.survey.turn_time = Some(now);
            }
            Ok(is_over)
        })
    }

    async fn keep(&self, survey: &Survey) -> Result<(), StoreError> {
        self.transact(|rows, _| {
            rows.survey.survey = Some(survey.clone());
            Ok(())
        })
    }

    async fn last(&self) -> Result<Option<Survey>, StoreError> {
        self.transact(|rows, _| Ok(rows.survey.survey.clone()))
    }
}

impl MemoryStore {
    fn accounts_of_other_apps(&self) -> u64 {
        let database = self.lock();
        let others = database.apps.iter().filter(|(app, _)| **app != self.app_id);
        others.map(|(_, rows)| rows.accounts.len() as u64).sum()
    }

    fn next_visit(&self, rows: &Rows, account: &InstagramAccount) -> Option<OffsetDateTime> {
        let put_off = rows.put_off.get(&account.id).copied();
        put_off.or(account.next_visit_time(&self.plan))
    }
}

fn is_alive(account: &InstagramAccount, now: OffsetDateTime) -> bool {
    account.refused.is_none() && !account.is_expired(now)
}
