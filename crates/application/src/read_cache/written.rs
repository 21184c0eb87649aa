//! Changes of this process: each is forgotten when its write ends, before the caller learns of it.

use std::sync::Arc;

use async_trait::async_trait;
use ig_domain::ports::{
    AccountWriter, ClaimedAccount, CompletedImport, CompletedLink, DueAccounts, ImportEnded,
    LinkAttempts, LinkEnded, StoreError, UserDeletions, UserRemovals, VisitResult,
};
use ig_domain::{
    AccountId, CodeHash, ConfirmationCode, Deletion, InstagramAccount, LeaseHolder, LinkAttempt,
    LongLivedToken, Phase, RemovalOutcome, SignedRequest, StateHash,
};
use time::OffsetDateTime;

use super::{CachedAccounts, ReadCache};
use crate::StorePorts;

impl StorePorts {
    /// The same ports, of which `cache` hears all changes of accounts, and callers' reads through it.
    #[must_use]
    pub fn cached_by(self, cache: &Arc<ReadCache>) -> Self {
        Self {
            cached_accounts: CachedAccounts::new(self.accounts.clone(), Arc::clone(cache)),
            account_writer: Arc::new(Written::new(self.account_writer, cache)),
            link_attempts: Arc::new(Written::new(self.link_attempts, cache)),
            due_accounts: Arc::new(Written::new(self.due_accounts, cache)),
            ..self
        }
    }
}

impl ReadCache {
    /// The same removals, heard of by this cache.
    #[must_use]
    pub fn removals(self: &Arc<Self>, removals: Arc<dyn UserRemovals>) -> Arc<dyn UserRemovals> {
        Arc::new(Written::new(removals, self))
    }

    /// The same deletions, heard of by this cache.
    #[must_use]
    pub fn deletions(
        self: &Arc<Self>,
        deletions: Arc<dyn UserDeletions>,
    ) -> Arc<dyn UserDeletions> {
        Arc::new(Written::new(deletions, self))
    }
}

/// Forgets accounts when it is dropped: whatever came of a write, and also where it was given up meanwhile.
pub(super) struct Forgetting<'a> {
    cache: &'a ReadCache,
    /// `None` for all.
    accounts: Option<Vec<AccountId>>,
}

impl<'a> Forgetting<'a> {
    pub(super) fn of(cache: &'a ReadCache, ids: impl IntoIterator<Item = AccountId>) -> Self {
        Self { cache, accounts: Some(ids.into_iter().collect()) }
    }

    /// Forgets all, unless it learns better.
    fn of_all(cache: &'a ReadCache) -> Self {
        Self { cache, accounts: None }
    }

    /// Forgets nothing: nothing was changed.
    fn nothing(&mut self) {
        self.accounts = Some(Vec::new());
    }
}

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        match self.accounts.take() {
            Some(ids) => ids.into_iter().for_each(|id| self.cache.forget(id)),
            None => self.cache.forget_all(),
        }
    }
}

/// A port of the store by which accounts are changed, whose changes a cache hears of.
struct Written<P: ?Sized> {
    port: Arc<P>,
    cache: Arc<ReadCache>,
}

impl<P: ?Sized> Written<P> {
    fn new(port: Arc<P>, cache: &Arc<ReadCache>) -> Self {
        Self { port, cache: Arc::clone(cache) }
    }
}

#[async_trait]
impl AccountWriter for Written<dyn AccountWriter> {
    async fn update(
        &self,
        account: &InstagramAccount,
        former: &InstagramAccount,
        token: Option<LongLivedToken>,
    ) -> Result<(), StoreError> {
        let _forgetting = self.cache.forgetting([account.id]);
        self.port.update(account, former, token).await
    }

    async fn import(&self, import: &CompletedImport) -> Result<ImportEnded, StoreError> {
        let _forgetting = self.cache.forgetting(stored(&import.account, import.displaced));
        self.port.import(import).await
    }

    async fn mark_refused(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        holder: LeaseHolder,
    ) -> Result<(), StoreError> {
        let _forgetting = self.cache.forgetting([account.id]);
        self.port.mark_refused(account, former_revision, holder).await
    }

    async fn remove(&self, id: AccountId, revision: i64) -> Result<(), StoreError> {
        let _forgetting = self.cache.forgetting([id]);
        self.port.remove(id, revision).await
    }

    async fn mark_expired(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        let mut forgetting = Forgetting::of_all(&self.cache);
        let marked = self.port.mark_expired(now, limit).await?;
        if marked == 0 {
            forgetting.nothing();
        }
        Ok(marked)
    }
}

#[async_trait]
impl LinkAttempts for Written<dyn LinkAttempts> {
    async fn find(&self, code: &CodeHash) -> Result<Option<LinkAttempt>, StoreError> {
        self.port.find(code).await
    }

    async fn create(&self, attempt: &LinkAttempt, holder: LeaseHolder) -> Result<(), StoreError> {
        self.port.create(attempt, holder).await
    }

    async fn discard_unsent(&self, code: &CodeHash, state: &StateHash) -> Result<bool, StoreError> {
        self.port.discard_unsent(code, state).await
    }

    async fn claim(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
    ) -> Result<Option<LinkAttempt>, StoreError> {
        self.port.claim(code, holder).await
    }

    async fn advance(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        self.port.advance(code, holder, phase).await
    }

    async fn release(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        self.port.release(code, holder, phase).await
    }

    async fn complete(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        link: &CompletedLink,
    ) -> Result<LinkEnded, StoreError> {
        let _forgetting = self.cache.forgetting(stored(&link.account, link.displaced));
        self.port.complete(code, holder, link).await
    }

    async fn sweep(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.port.sweep(now, limit).await
    }
}

#[async_trait]
impl DueAccounts for Written<dyn DueAccounts> {
    async fn claim_due(
        &self,
        now: OffsetDateTime,
        holder: LeaseHolder,
        limit: u64,
    ) -> Result<Vec<ClaimedAccount>, StoreError> {
        self.port.claim_due(now, holder, limit).await
    }

    async fn finish(
        &self,
        results: &[(LeaseHolder, VisitResult)],
    ) -> Result<Vec<AccountId>, StoreError> {
        let changed = results.iter().filter(|(_, result)| result.change.is_some());
        let _forgetting = self.cache.forgetting(changed.map(|(_, result)| result.id));
        self.port.finish(results).await
    }

    async fn put_off(
        &self,
        id: AccountId,
        holder: LeaseHolder,
        until: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.port.put_off(id, holder, until).await
    }

    async fn schedule_missed(&self, limit: u64) -> Result<u64, StoreError> {
        self.port.schedule_missed(limit).await
    }

    async fn witnesses(
        &self,
        except: AccountId,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<(InstagramAccount, LongLivedToken)>, StoreError> {
        self.port.witnesses(except, now, limit).await
    }
}

#[async_trait]
impl UserRemovals for Written<dyn UserRemovals> {
    async fn deauthorize(
        &self,
        request: &SignedRequest,
        now: OffsetDateTime,
    ) -> Result<RemovalOutcome, StoreError> {
        let mut forgetting = Forgetting::of_all(&self.cache);
        let outcome = self.port.deauthorize(request, now).await?;
        // Accounts whose consent is newer are due, which shows, and not all of them are named.
        if outcome == RemovalOutcome::NothingStored {
            forgetting.nothing();
        }
        Ok(outcome)
    }
}

#[async_trait]
impl UserDeletions for Written<dyn UserDeletions> {
    async fn delete(
        &self,
        request: &SignedRequest,
        code: &ConfirmationCode,
        now: OffsetDateTime,
    ) -> Result<(ConfirmationCode, RemovalOutcome), StoreError> {
        let mut forgetting = Forgetting::of_all(&self.cache);
        let (code, outcome) = self.port.delete(request, code, now).await?;
        if outcome == RemovalOutcome::NothingStored {
            forgetting.nothing();
        }
        Ok((code, outcome))
    }

    async fn find(&self, code: &ConfirmationCode) -> Result<Option<Deletion>, StoreError> {
        self.port.find(code).await
    }

    async fn erase(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.port.erase(now, limit).await
    }
}

/// The account that is stored, and the one that makes room for it.
fn stored(
    account: &InstagramAccount,
    displaced: Option<(AccountId, i64)>,
) -> impl Iterator<Item = AccountId> {
    [account.id].into_iter().chain(displaced.map(|(id, _)| id))
}
