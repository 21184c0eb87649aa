//! Many accounts at once: one query for each column that a key may be in.

use ig_domain::InstagramAccount;
use ig_domain::ports::{AccountKey, BatchKey, StoreError};
use sea_orm::{
    ColumnTrait, EntityTrait, ModelTrait as _, QueryFilter, QueryTrait as _, Select, Value,
};

use super::SeaOrmStore;
use super::account_row::to_domain;
use super::entity::instagram_account::{Column, Entity, Model};
use super::gathered_reads::Answer;
use super::held_connection::HeldConnection;
use super::unreadable::{Row, Table, UnreadableRow};

/// Columns in which keys are looked for; a key that is found in one is not looked for in those behind it.
const COLUMNS: [Column; 4] =
    [Column::Id, Column::ProfessionalAccountId, Column::AppScopedUserId, Column::ExchangeUserId];

impl SeaOrmStore {
    /// For each of `keys` the account that a lookup of it alone would find; none where that cannot be read.
    pub(super) async fn find_each(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        let mut connection = self.database.hold_connection().await?;
        let (rows, unreadable) = self.rows_of(&mut connection, keys).await?;
        let mut unreadable: Vec<_> = unreadable.into_iter().map(Err).collect();
        let accounts = rows
            .into_iter()
            .map(|row| readable(row?).map_err(|row| unreadable.push(Err(row))).ok());
        let accounts = accounts.collect();
        self.meter.unreadable.leave_out::<()>(unreadable);
        Ok(accounts)
    }

    /// The answer to each of `keys`, as if it were looked up alone.
    pub(super) async fn find_together(
        &self,
        connection: &mut HeldConnection,
        keys: &[BatchKey],
    ) -> Result<Vec<Answer<InstagramAccount>>, StoreError> {
        if let [key] = keys {
            return Ok(vec![self.find_alone(connection, &key.clone().into()).await?]);
        }
        let (rows, unreadable) = self.rows_of(connection, keys).await?;
        let mut answers = Vec::new();
        for (key, row) in keys.iter().zip(rows) {
            answers.push(match row {
                Some(row) => to_domain(row).map(Some),
                None if unreadable.is_empty() => Ok(None),
                // It may be the one that cannot be read.
                None => self.find_alone(connection, &key.clone().into()).await?,
            });
        }
        Ok(answers)
    }

    /// The account with this key, by a statement of its own. An error where it says nothing of the account.
    pub(super) async fn find_alone(
        &self,
        connection: &mut HeldConnection,
        key: &AccountKey,
    ) -> Result<Answer<InstagramAccount>, StoreError> {
        match connection.read_one::<Model>(&self.lookup(key)).await {
            Ok(found) => Ok(found.map(to_domain).transpose()),
            Err(error @ StoreError::Corrupt(_)) => Ok(Err(error)),
            Err(error) => Err(error),
        }
    }

    /// For each of `keys` the row that a lookup of it alone would find, and the rows that cannot be read.
    async fn rows_of(
        &self,
        connection: &mut HeldConnection,
        keys: &[BatchKey],
    ) -> Result<(Vec<Option<Model>>, Vec<UnreadableRow>), StoreError> {
        let mut unreadable = Vec::new();
        let mut rows: Vec<Option<Model>> = vec![None; keys.len()];
        for column in COLUMNS {
            let missing = keys.iter().zip(&rows).filter(|(_, row)| row.is_none());
            let values = missing.filter_map(|(key, _)| value(key, column)).collect();
            let Some(query) = self.any_of(column, values) else { continue };
            let mut found = Vec::new();
            for row in connection.read_rows(Table::Account, &query.into_query(), Ok).await? {
                match row {
                    Ok(row) => found.push((Model::get(&row, column), row)),
                    Err(row) => unreadable.push(row),
                }
            }
            for (key, row) in keys.iter().zip(&mut rows).filter(|(_, row)| row.is_none()) {
                *row = value(key, column).and_then(|value| preferred(&found, &value).cloned());
            }
        }
        Ok((rows, unreadable))
    }

    /// The accounts with one of `values` in `column`; `None` where there are no values.
    pub(super) fn any_of(&self, column: Column, mut values: Vec<Value>) -> Option<Select<Entity>> {
        // Each length is a statement of its own, which the database prepares and the connection remembers.
        let length = values.len().next_power_of_two();
        values.resize(length, values.last()?.clone());
        if let Column::Id = column {
            return Some(Entity::find().filter(column.is_in(values)).filter(self.is_own()));
        }
        Some(self.accounts().filter(column.is_in(values)))
    }
}

/// The account of a row.
fn readable(row: Model) -> Row<InstagramAccount> {
    let id = row.id.to_string();
    to_domain(row).map_err(|error| UnreadableRow { table: Table::Account, id, error })
}

/// Value of `key` in `column`; `None` where it is not looked for there.
fn value(key: &BatchKey, column: Column) -> Option<Value> {
    match (key, column) {
        (BatchKey::Id(id), Column::Id) => Some((*id.as_uuid()).into()),
        (
            BatchKey::Instagram(id),
            Column::ProfessionalAccountId | Column::AppScopedUserId | Column::ExchangeUserId,
        ) => Some(id.as_str().into()),
        _ => None,
    }
}

/// Of `rows`, each beside its value in the column, the one with `value`; of several the one that a lookup prefers.
fn preferred<'a>(rows: &'a [(Value, Model)], value: &Value) -> Option<&'a Model> {
    let same = rows.iter().filter(|(stored, _)| stored == value);
    same.map(|(_, row)| row).max_by_key(|row| row.id)
}
