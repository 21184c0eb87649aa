//! Accounts, with faults.

use async_trait::async_trait;
use ig_domain::ports::{
    AccountKey, AccountPage, AccountReader, AccountWriter, BatchKey, CompletedImport, ImportEnded,
    StoreError,
};
use ig_domain::{AccountId, InstagramAccount, LeaseHolder, LongLivedToken, OwnerScope};
use time::OffsetDateTime;

use super::{Fault, FaultyPorts};

impl FaultyPorts {
    /// The stored account, whatever the caller read.
    async fn stored(&self, id: AccountId) -> Result<InstagramAccount, StoreError> {
        let found = self.ports.accounts.find(&AccountKey::Id(id)).await?;
        found.ok_or(StoreError::Conflict)
    }

    /// The stored revision, whatever revision the caller read.
    pub(super) async fn stored_revision(&self, id: AccountId) -> Result<i64, StoreError> {
        Ok(self.stored(id).await?.revision)
    }

    pub(super) fn told(&self, written: Result<(), StoreError>) -> Result<(), StoreError> {
        match written {
            Err(StoreError::Conflict) if self.has(Fault::SilentConflicts) => Ok(()),
            written => written,
        }
    }
}

#[async_trait]
impl AccountReader for FaultyPorts {
    async fn find(&self, key: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        self.ports.accounts.find(key).await
    }

    async fn find_many(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        let mut found = self.ports.accounts.find_many(keys).await?;
        found.retain(|account| account.is_some() || !self.has(Fault::GappyBatches));
        Ok(found)
    }

    async fn find_by_ids(
        &self,
        ids: &[AccountId],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        let mut found = self.ports.accounts.find_by_ids(ids).await?;
        found.retain(|account| account.is_some() || !self.has(Fault::GappyBatches));
        Ok(found)
    }

    async fn list(&self, page: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        if !self.has(Fault::LooseListings) {
            return self.ports.accounts.list(page).await;
        }
        let owners = OwnerScope::everyone();
        let whole = AccountPage { owners, status: None, ..page.clone() };
        let mut listed = self.ports.accounts.list(&whole).await?;
        listed.drain(..listed.len().min(usize::from(page.after.is_some())));
        Ok(listed)
    }

    async fn find_with_token(
        &self,
        id: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError> {
        self.ports.accounts.find_with_token(id).await
    }
}

#[async_trait]
impl AccountWriter for FaultyPorts {
    async fn update(
        &self,
        account: &InstagramAccount,
        former: &InstagramAccount,
        token: Option<LongLivedToken>,
    ) -> Result<(), StoreError> {
        let token = token.filter(|_| !self.has(Fault::LostTokens));
        let mut former = former.clone();
        loop {
            let updated = self.ports.account_writer.update(account, &former, token.clone()).await;
            if !matches!(updated, Err(StoreError::Conflict)) {
                return updated;
            }
            let stored = self.stored(account.id).await;
            let is_overwritten = match (self.fault, &stored) {
                (Fault::StaleWrites, _) => true,
                (Fault::LateReadings, Ok(stored)) => stored.revision == former.revision,
                _ => false,
            };
            if !is_overwritten {
                return self.told(updated);
            }
            former = stored?;
        }
    }

    async fn import(&self, import: &CompletedImport) -> Result<ImportEnded, StoreError> {
        if self.has(Fault::LostAccounts) {
            return Ok(ImportEnded::Stored);
        }
        let mut import = import.clone();
        if self.has(Fault::StaleWrites) {
            if import.former_revision.is_some() {
                import.former_revision = Some(self.stored_revision(import.account.id).await?);
            }
            if let Some((id, revision)) = &mut import.displaced {
                *revision = self.stored_revision(*id).await?;
            }
        }
        match self.ports.account_writer.import(&import).await {
            Err(StoreError::Conflict) if self.has(Fault::SilentConflicts) => {
                Ok(ImportEnded::Stored)
            }
            Ok(ImportEnded::UserRemoved) if self.has(Fault::DeafLinks) => Ok(ImportEnded::Stored),
            imported => imported,
        }
    }

    async fn mark_refused(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        holder: LeaseHolder,
    ) -> Result<(), StoreError> {
        if self.has(Fault::UnfencedMarks) {
            let former = InstagramAccount { revision: former_revision, ..account.clone() };
            return self.ports.account_writer.update(account, &former, None).await;
        }
        self.told(self.ports.account_writer.mark_refused(account, former_revision, holder).await)
    }

    async fn remove(&self, id: AccountId, revision: i64) -> Result<(), StoreError> {
        if self.has(Fault::Undead) {
            return Ok(());
        }
        let stale = self.has(Fault::StaleWrites);
        let revision = if stale { self.stored_revision(id).await? } else { revision };
        self.told(self.ports.account_writer.remove(id, revision).await)
    }

    async fn mark_expired(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        match self.fault {
            Fault::NoSweep => Ok(0),
            Fault::BoundlessSweep => self.ports.account_writer.mark_expired(now, 1_000).await,
            _ => self.ports.account_writer.mark_expired(now, limit).await,
        }
    }
}
