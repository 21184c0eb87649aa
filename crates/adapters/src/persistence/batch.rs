//! Many accounts at once: one query for each column that a key may be in.

use ig_domain::InstagramAccount;
use ig_domain::ports::{AccountKey, StoreError};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryTrait as _, Select, Value};

use super::SeaOrmStore;
use super::account_row::to_domain;
use super::entity::instagram_account::{Column, Entity, Model};
use super::unreadable::{Row, Table, UnreadableRow};

/// Columns in which keys are looked for; a key that is found in one is not looked for in those behind it.
const COLUMNS: [Column; 5] = [
    Column::Id,
    Column::ProfessionalAccountId,
    Column::AppScopedUserId,
    Column::ExchangeUserId,
    Column::Username,
];

impl SeaOrmStore {
    /// For each of `keys` the account that a lookup of it alone would find; none where that cannot be read.
    pub(super) async fn find_each(
        &self,
        keys: &[AccountKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        let mut unreadable = Vec::new();
        let mut rows: Vec<Option<Model>> = vec![None; keys.len()];
        for column in COLUMNS {
            let missing = keys.iter().zip(&rows).filter(|(_, row)| row.is_none());
            let values = missing.filter_map(|(key, _)| value(key, column)).collect();
            let Some(query) = self.any_of(column, values) else { continue };
            let mut found = Vec::new();
            for row in self.database.read_rows(Table::Account, &query.into_query(), Ok).await? {
                row.map_or_else(|row| unreadable.push(Err(row)), |row| found.push(row));
            }
            for (key, row) in keys.iter().zip(&mut rows).filter(|(_, row)| row.is_none()) {
                *row = newest(&found, key, column).cloned();
            }
        }
        let accounts = rows
            .into_iter()
            .map(|row| readable(row?).map_err(|row| unreadable.push(Err(row))).ok());
        let accounts = accounts.collect();
        self.meter.unreadable.leave_out::<()>(unreadable);
        Ok(accounts)
    }

    /// The accounts with one of `values` in `column`; `None` where there are no values.
    fn any_of(&self, column: Column, mut values: Vec<Value>) -> Option<Select<Entity>> {
        // Each length is a statement of its own, which the database prepares and the connection remembers.
        let length = values.len().next_power_of_two();
        values.resize(length, values.last()?.clone());
        let in_app = Entity::find().filter(Column::AppId.eq(self.app.as_str()));
        Some(in_app.filter(column.is_in(values)))
    }
}

/// The account of a row.
fn readable(row: Model) -> Row<InstagramAccount> {
    let id = row.id.to_string();
    to_domain(row).map_err(|error| UnreadableRow { table: Table::Account, id, error })
}

/// Value of `key` in `column`; `None` where it is not looked for there.
fn value(key: &AccountKey, column: Column) -> Option<Value> {
    match (key, column) {
        (AccountKey::Id(id), Column::Id) => Some((*id.as_uuid()).into()),
        (
            AccountKey::Instagram(id),
            Column::ProfessionalAccountId | Column::AppScopedUserId | Column::ExchangeUserId,
        ) => Some(id.as_str().into()),
        (AccountKey::Username(username), Column::Username) => Some(username.as_str().into()),
        _ => None,
    }
}

/// Of `rows` the one with `key` in `column`; of several the one that a lookup of the key alone prefers.
fn newest<'a>(rows: &'a [Model], key: &AccountKey, column: Column) -> Option<&'a Model> {
    let has_key = |row: &&Model| match (key, column) {
        (AccountKey::Id(id), Column::Id) => row.id == *id.as_uuid(),
        (AccountKey::Instagram(id), Column::ProfessionalAccountId) => {
            row.professional_account_id == id.as_str()
        }
        (AccountKey::Instagram(id), Column::AppScopedUserId) => {
            row.app_scoped_user_id.as_deref() == Some(id.as_str())
        }
        (AccountKey::Instagram(id), Column::ExchangeUserId) => {
            row.exchange_user_id.as_deref() == Some(id.as_str())
        }
        (AccountKey::Username(username), Column::Username) => row.username == username.as_str(),
        _ => false,
    };
    let read = |row: &Model| matches!(column, Column::Username).then_some(row.profile_time);
    rows.iter().filter(has_key).max_by_key(|row| (read(row), row.id))
}
