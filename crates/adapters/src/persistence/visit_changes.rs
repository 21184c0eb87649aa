//! Changes by visits: as many as there are in a few statements, each only where the account is still as it was read.

use std::collections::HashMap;

use ig_domain::AccountId;
use ig_domain::ports::{StoreError, VisitChange};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, Iterable as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::SeaOrmStore;
use super::columns::micros;
use super::entity::instagram_account::{Column, Entity};
use super::error::translate;

/// State of a stored account by which a change of it is recognized.
type Version = (i64, i64);

impl SeaOrmStore {
    /// Stores changes, each if the stored account is still as it was read. Returns the accounts of the others.
    pub(super) async fn store_changes(
        &self,
        on: &DatabaseTransaction,
        changes: Vec<&VisitChange>,
    ) -> Result<Vec<AccountId>, StoreError> {
        let mut stored = self.locked(on, &changes).await?;
        let as_read = |change: &&VisitChange| {
            let read = (change.former_revision, micros(change.former_profile_time));
            let id = change.account.id.as_uuid();
            let is_as_read = stored.get(id) == Some(&read);
            if is_as_read {
                // Another change of the same account has read another one.
                stored.remove(id);
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
        Ok(unstored.iter().map(|change| change.account.id).collect())
    }

    /// Versions of the accounts of `changes`, which stay as they are until the transaction ends.
    async fn locked(
        &self,
        on: &DatabaseTransaction,
        changes: &[&VisitChange],
    ) -> Result<HashMap<Uuid, Version>, StoreError> {
        if changes.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = changes.iter().map(|change| *change.account.id.as_uuid());
        let locked = self
            .accounts()
            .select_only()
            .columns([Column::Id, Column::Revision, Column::ProfileTime])
            .filter(Column::Id.is_in(ids))
            // In one order, so that transactions at the same time never wait for each other in a ring.
            .order_by_asc(Column::Id)
            .lock_exclusive()
            .into_tuple::<(Uuid, i64, i64)>();
        let rows = locked.all(on).await.map_err(|error| translate(&error))?;
        Ok(rows.into_iter().map(|(id, revision, time)| (id, (revision, time))).collect())
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
