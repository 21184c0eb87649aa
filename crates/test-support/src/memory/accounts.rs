//! Accounts and their tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    AccountKey, AccountPage, AccountReader, AccountWriter, BatchKey, CompletedImport, ImportEnded,
    StatusFilter, StoreError,
};
use ig_domain::{
    AccountEvent, AccountId, AppScopedUserId, InstagramAccount, LeaseHolder, ListingPosition,
    LongLivedToken, UnlinkCause,
};
use time::OffsetDateTime;

use super::leases::extend;
use super::{Guard, MemoryStore, Rows};

type AccountRows = BTreeMap<AccountId, (InstagramAccount, Option<LongLivedToken>)>;

#[async_trait]
impl AccountReader for MemoryStore {
    async fn find(&self, key: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        self.transact(|rows, _| Ok(find(&rows.accounts, key)))
    }

    async fn find_many(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        self.transact(|rows, _| {
            Ok(keys.iter().map(|key| find(&rows.accounts, &key.clone().into())).collect())
        })
    }

    async fn find_by_ids(
        &self,
        ids: &[AccountId],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        let found = |rows: &AccountRows, id| rows.get(id).map(|(account, _)| account.clone());
        self.transact(|rows, _| Ok(ids.iter().map(|id| found(&rows.accounts, id)).collect()))
    }

    async fn list(&self, page: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        self.transact(|rows, _| {
            let (place, order) = (ListingPosition::of, page.owners.listing_order());
            let mut accounts: Vec<_> = rows
                .accounts
                .values()
                .map(|(account, _)| account)
                .filter(|account| page.owners.contains(&account.owner))
                .filter(|account| {
                    let active = account.refused.is_none();
                    page.status.is_none_or(|status| active == (status == StatusFilter::Active))
                })
                .filter(|account| {
                    let after = page.after.as_ref();
                    after.is_none_or(|after| order.compare(after, &place(account)).is_lt())
                })
                .cloned()
                .collect();
            accounts.sort_by(|one, other| order.compare(&place(one), &place(other)));
            accounts.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
            Ok(accounts)
        })
    }

    async fn find_with_token(
        &self,
        id: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError> {
        self.transact(|rows, _| Ok(rows.accounts.get(&id).cloned()))
    }
}

#[async_trait]
impl AccountWriter for MemoryStore {
    async fn update(
        &self,
        account: &InstagramAccount,
        former: &InstagramAccount,
        token: Option<LongLivedToken>,
    ) -> Result<(), StoreError> {
        let guarded = !self.lacks(Guard::Revision);
        let version = |account: &InstagramAccount| {
            (account.revision, account.profile_time, account.failures.retry_time)
        };
        self.transact(|rows, now| {
            let as_read = |stored: &_| !guarded || version(stored) == version(former);
            let event = update(&mut rows.accounts, account, token, as_read)?;
            self.tell(&mut rows.events, event, now);
            rows.put_off.remove(&account.id);
            Ok(())
        })
    }

    async fn import(&self, import: &CompletedImport) -> Result<ImportEnded, StoreError> {
        self.transact(|rows, now| {
            let CompletedImport { displaced, account, former_revision, token } = import;
            let removal = rows.removal_since(account, account.consent_time);
            if removal.is_some() && !self.lacks(Guard::RemovalCheck) {
                return Ok(ImportEnded::UserRemoved);
            }
            let (displaced, former) = (*displaced, *former_revision);
            let token = Some(token);
            let linked = Linked { displaced, account, former, token, is_import: true };
            self.store_linked(rows, &linked, now)?;
            Ok(ImportEnded::Stored)
        })
    }

    async fn mark_refused(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        holder: LeaseHolder,
    ) -> Result<(), StoreError> {
        let (fenced, guarded) = (!self.lacks(Guard::Lease), !self.lacks(Guard::Revision));
        self.transact(|rows, now| {
            let mut renewals = rows.renewals.clone();
            extend(&mut renewals, account.id, holder, now, fenced)?;
            let as_read = |stored: &InstagramAccount| {
                let unchanged = !guarded || stored.revision == former_revision;
                unchanged && stored.profile_time == account.profile_time
            };
            let event = update(&mut rows.accounts, account, None, as_read)?;
            self.tell(&mut rows.events, event, now);
            rows.renewals = renewals;
            rows.put_off.remove(&account.id);
            Ok(())
        })
    }

    async fn remove(&self, id: AccountId, revision: i64) -> Result<(), StoreError> {
        let guarded = !self.lacks(Guard::Revision);
        self.transact(|rows, now| {
            let former = rows.former_account(id);
            let event = remove(&mut rows.accounts, (id, revision), UnlinkCause::Unlink, guarded)?;
            rows.former_accounts.extend(former);
            self.tell(&mut rows.events, [event], now);
            Ok(())
        })
    }

    async fn mark_expired(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.transact(|rows, lease_time| {
            let accounts = rows.accounts.values_mut().map(|(account, _)| account);
            let expired = accounts.filter(|one| one.refused.is_none() && one.is_expired(now));
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            let mut events = Vec::new();
            for account in expired.take(most) {
                let former = std::mem::replace(account, account.expired(now));
                events.extend(AccountEvent::between(&former, account));
            }
            let marked = events.len() as u64;
            self.tell(&mut rows.events, events, lease_time);
            Ok(marked)
        })
    }
}

/// An account as a consent or an import leaves it.
pub(super) struct Linked<'a> {
    pub(super) displaced: Option<(AccountId, i64)>,
    pub(super) account: &'a InstagramAccount,
    pub(super) former: Option<i64>,
    /// The token; `None` where the stored one stays.
    pub(super) token: Option<&'a LongLivedToken>,
    pub(super) is_import: bool,
}

impl MemoryStore {
    /// Stores it with its events, or nothing.
    pub(super) fn store_linked(
        &self,
        rows: &mut Rows,
        linked: &Linked<'_>,
        now: Duration,
    ) -> Result<(), StoreError> {
        let Linked { displaced, account, former, token, is_import } = linked;
        let guarded = !self.lacks(Guard::Revision);
        let (mut accounts, mut events) = (rows.accounts.clone(), Vec::new());
        let gone = displaced.and_then(|(id, _)| rows.former_account(id));
        if let Some(displaced) = displaced {
            let cause = UnlinkCause::OtherOwner;
            events.push(remove(&mut accounts, *displaced, cause, guarded)?);
        }
        match (former, token) {
            (Some(revision), token) => {
                let stored = accounts.get(&account.id).map(|(stored, _)| stored.clone());
                let as_read = |stored: &InstagramAccount| !guarded || stored.revision == *revision;
                let event = update(&mut accounts, account, token.cloned(), as_read)?;
                let imported = || AccountEvent::imported(stored.as_ref(), account);
                events.extend(if *is_import { Some(imported()) } else { event });
            }
            (None, Some(token)) => {
                let id = &account.professional_account_id;
                let mut others = accounts.values();
                if others.any(|(other, _)| other.professional_account_id == *id) {
                    return Err(StoreError::Conflict);
                }
                accounts.insert(account.id, ((*account).clone(), Some((*token).clone())));
                let imported = || AccountEvent::imported(None, account);
                events.push(if *is_import { imported() } else { AccountEvent::linked(account) });
            }
            (None, None) => return Err(StoreError::Conflict),
        }
        rows.accounts = accounts;
        rows.former_accounts.extend(gone);
        self.tell(&mut rows.events, events, now);
        rows.put_off.remove(&account.id);
        Ok(())
    }
}

fn find(accounts: &AccountRows, key: &AccountKey) -> Option<InstagramAccount> {
    let all = || accounts.values().map(|(account, _)| account);
    let found = match key {
        AccountKey::Id(id) => all().find(|account| account.id == *id),
        AccountKey::Username(username) => all()
            .filter(|account| account.username == *username)
            .max_by_key(|account| (account.profile_time, account.id)),
        AccountKey::Instagram(id) => {
            let is = |scoped: &Option<AppScopedUserId>| {
                scoped.as_ref().is_some_and(|scoped| scoped.as_str() == id.as_str())
            };
            // Of several the one with the highest id, which comes last.
            all()
                .find(|account| account.professional_account_id.as_str() == id.as_str())
                .or_else(|| all().rfind(|account| is(&account.app_scoped_user_id)))
                .or_else(|| all().rfind(|account| is(&account.exchange_user_id)))
        }
    };
    found.cloned()
}

/// Stores a changed account if the stored one is still `as_read`. Returns the event of the change.
pub(super) fn update(
    accounts: &mut AccountRows,
    account: &InstagramAccount,
    token: Option<LongLivedToken>,
    as_read: impl FnOnce(&InstagramAccount) -> bool,
) -> Result<Option<AccountEvent>, StoreError> {
    let (stored, stored_token) = accounts.get_mut(&account.id).ok_or(StoreError::Conflict)?;
    if !as_read(stored) {
        return Err(StoreError::Conflict);
    }
    let former = std::mem::replace(stored, account.clone());
    if let Some(token) = token {
        *stored_token = Some(token);
    }
    Ok(AccountEvent::between(&former, account))
}

/// Deletes an account of this id if it still has this revision. Returns the event of the deletion.
pub(super) fn remove(
    accounts: &mut AccountRows,
    (id, revision): (AccountId, i64),
    cause: UnlinkCause,
    guarded: bool,
) -> Result<AccountEvent, StoreError> {
    let (stored, _) = accounts.get(&id).ok_or(StoreError::Conflict)?;
    if guarded && stored.revision != revision {
        return Err(StoreError::Conflict);
    }
    let event = AccountEvent::unlinked(stored, cause);
    accounts.remove(&id);
    Ok(event)
}
