//! Changes by visits: as many as there are in a few statements, each only where the account is still as it was read.

use std::collections::HashMap;

use ig_domain::ports::{StoreError, VisitChange};
use ig_domain::{AccountEvent, AccountId, InstagramAccount};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait as _, DatabaseTransaction, EntityTrait as _, IntoActiveModel as _,
    Iterable as _, QueryOrder as _, QuerySelect as _,
};

use super::SeaOrmStore;
use super::account_row::to_domain;
use super::entity::instagram_account::{Column, Entity};
use super::error::translate;

impl SeaOrmStore {
    /// Stores changes, each if the stored account is still as it was read. Returns the accounts of the others.
    pub(super) async fn store_changes(
        &self,
        on: &DatabaseTransaction,
        changes: Vec<&VisitChange>,
    ) -> Result<Vec<AccountId>, StoreError> {
        let mut stored = self.locked(on, &changes).await?;
        let mut events = Vec::new();
        let as_read = |change: &&VisitChange| {
            let VisitChange { account, former_revision, former_profile_time, .. } = change;
            let read = (*former_revision, *former_profile_time);
            let former = stored.get(&account.id);
            let is_as_read =
                former.is_some_and(|former| (former.revision, former.profile_time) == read);
            if is_as_read {
                // Another change of the same account has read another one.
                let former = stored.remove(&account.id);
                events.extend(former.and_then(|former| AccountEvent::between(&former, account)));
            }
            is_as_read
        };
        let (changes, unstored): (Vec<_>, Vec<_>) = changes.into_iter().partition(as_read);
        if !changes.is_empty() {
            self.replace_each(on, &changes).await?;
        }
        let tokens: Vec<_> = changes
            .iter()
            .filter_map(|change| Some((change.account.id, change.token.as_ref()?)))
            .collect();
        if !tokens.is_empty() {
            self.put_tokens(on, tokens).await?;
        }
        self.tell(on, events).await?;
        Ok(unstored.iter().map(|change| change.account.id).collect())
    }

    /// The accounts of `changes` that can be read, which stay as they are until the transaction ends.
    async fn locked(
        &self,
        on: &DatabaseTransaction,
        changes: &[&VisitChange],
    ) -> Result<HashMap<AccountId, InstagramAccount>, StoreError> {
        if changes.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = changes.iter().map(|change| *change.account.id.as_uuid());
        let locked = self
            .identified_each(ids)
            // In one order, so that transactions at the same time never wait for each other in a ring.
            .order_by_asc(Column::Id)
            .lock_exclusive();
        let rows = locked.all(on).await.map_err(|error| translate(&error))?;
        let readable = rows.into_iter().filter_map(|row| to_domain(row).ok());
        Ok(readable.map(|account| (account.id, account)).collect())
    }

    /// Replaces stored accounts, which are locked: at least one.
    async fn replace_each(
        &self,
        on: &DatabaseTransaction,
        changes: &[&VisitChange],
    ) -> Result<(), StoreError> {
        let rows =
            changes.iter().map(|change| self.row(&change.account).into_active_model().reset_all());
        // None of them is inserted; an insertion can hold many rows, each with values of its own.
        let replacing = OnConflict::column(Column::Id)
            .update_columns(Column::iter().filter(|column| !matches!(column, Column::Id)))
            .to_owned();
        let replaced =
            Entity::insert_many(rows).on_conflict(replacing).exec_without_returning(on).await;
        replaced.map(drop).map_err(|error| translate(&error))
    }
}
