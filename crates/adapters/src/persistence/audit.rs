//! Audit: which token was handed to whom, and its purge.

use std::collections::HashSet;

use async_trait::async_trait;
use ig_domain::ports::{AuditLog, AuditPage, Cause, StoreError};
use ig_domain::{AccountId, AppId, AuditEntry, AuditId};
use sea_orm::sea_query::{
    Alias, Condition, Expr, ExprTrait as _, InsertStatement, Query, SelectStatement, ValueTuple,
};
use sea_orm::{
    ColumnTrait, EntityTrait, IdenStatic as _, Iterable as _, ModelTrait as _, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait as _, Select,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::columns::{expire_time, expiry_micros, instant, micros, parse, past_micros, past_time};
use super::database::bounded;
use super::entity::instagram_account::{self, Column as AccountColumn};
use super::entity::token_audit::{Column, Entity, Model};
use super::error::translate;
use super::paging::{behind, unindexed};
use super::store_meter::Operation;
use super::sweep::locked_keys;
use super::unreadable::{Table, UnreadableRow, readable_page};
use super::{Database, SeaOrmStore};

#[async_trait]
impl AuditLog for SeaOrmStore {
    async fn record(&self, entries: &[AuditEntry]) -> Result<HashSet<AuditId>, StoreError> {
        if entries.is_empty() {
            return Ok(HashSet::new());
        }
        self.call(Operation::RecordAudit, async {
            let inserted = self.database.write_alone(&self.inserted(entries)?).await?;
            if inserted == entries.len() as u64 {
                return Ok(entries.iter().map(|entry| entry.id).collect());
            }
            self.recorded_of(entries).await
        })
        .await
    }

    async fn purge_before(&self, time: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.call(Operation::PurgeAudit, async {
            let write = self.database.begin_write().await?;
            let old: Vec<Uuid> = locked_keys(write.on(), self.entries_before(time), limit).await?;
            let purged = Entity::delete_many().filter(Column::Id.is_in(old)).exec(write.on()).await;
            let purged = purged.map_err(|error| translate(&error))?.rows_affected;
            write.commit().await?;
            Ok(purged)
        })
        .await
    }
}

impl SeaOrmStore {
    /// Inserts the entries of accounts that have their revision.
    fn inserted(&self, entries: &[AuditEntry]) -> Result<InsertStatement, StoreError> {
        let mut insert = Query::insert().into_table(Entity).columns(Column::iter()).take();
        let inserted = insert.select_from(self.current(entries));
        inserted.map_err(|error| StoreError::Internal(Cause::new(error)))?;
        Ok(insert)
    }

    /// The rows of the entries whose accounts have their revision.
    fn current(&self, entries: &[AuditEntry]) -> SelectStatement {
        let rows = entries.iter().map(|entry| to_row(&self.app, entry));
        // Each length is a statement of its own, which the database prepares and the connection remembers. What is
        // filled up with has no account.
        let of_nobody = rows.clone().map(|row| Model { account_id: Uuid::nil(), ..row });
        let rows = rows.chain(of_nobody.cycle()).take(entries.len().next_power_of_two());
        let (given, account) = (Alias::new("given"), instagram_account::Entity);
        // Both databases call the columns of given rows so.
        let given_of = |column: Column| {
            let name = Alias::new(format!("column{}", column as usize + 1));
            Expr::col((given.clone(), name))
        };
        let is_current = Condition::all()
            .add(Expr::col((account, AccountColumn::AppId)).eq(given_of(Column::AppId)))
            .add(Expr::col((account, AccountColumn::Id)).eq(given_of(Column::AccountId)))
            .add(Expr::col((account, AccountColumn::Revision)).eq(given_of(Column::Revision)));
        Query::select()
            .exprs(Column::iter().map(given_of))
            .from_values(rows.map(|row| values(&row)), given.clone())
            .inner_join(account, is_current)
            .take()
    }

    /// The ids of those of the entries that are stored.
    async fn recorded_of(&self, entries: &[AuditEntry]) -> Result<HashSet<AuditId>, StoreError> {
        let ids = entries.iter().map(|entry| *entry.id.as_uuid());
        let stored = Entity::find().select_only().column(Column::Id).filter(Column::Id.is_in(ids));
        let stored = self.database.read(&stored.into_query()).await?;
        let ids = stored.iter().map(|row| row.try_get("", Column::Id.as_str()));
        let ids = ids.collect::<Result<Vec<Uuid>, _>>().map_err(|error| translate(&error))?;
        Ok(ids.into_iter().map(AuditId::from_uuid).collect())
    }

    /// The ids of the entries of tokens that were handed out before `time`, the oldest first.
    fn entries_before(&self, time: OffsetDateTime) -> Select<Entity> {
        Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::HandOutTime.lt(micros(time)))
            .order_by_asc(Column::HandOutTime)
            .order_by_asc(Column::Id)
    }
}

impl Database {
    /// One page of audit entries, of `app` or of every app. One that cannot be read is left out and named in the log.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`] when too many cannot be read.
    pub async fn audit_entries(
        &self,
        app: Option<&AppId>,
        page: &AuditPage,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let read = async |limit| {
            let query = select(app, &AuditPage { limit, ..page.clone() }).into_query();
            self.read_rows(Table::Audit, &query, to_domain).await
        };
        let rows = bounded(readable_page(Table::Audit, page.limit, read));
        let rows = self.explained(rows.await).await?;
        Ok(rows.into_iter().filter_map(|row| row.inspect_err(UnreadableRow::log).ok()).collect())
    }
}

fn select(app: Option<&AppId>, page: &AuditPage) -> Select<Entity> {
    let AuditPage { account, caller, owner, since, after, limit } = page;
    let is_narrow = account.is_some() || caller.is_some() || owner.is_some();
    let own = |app: &AppId| {
        if is_narrow {
            unindexed(Column::AppId).eq(app.as_str())
        } else {
            Column::AppId.eq(app.as_str())
        }
    };
    let met = Condition::all()
        .add_option(app.map(own))
        .add_option(account.map(|account| Column::AccountId.eq(*account.as_uuid())))
        .add_option(caller.as_ref().map(|caller| Column::Caller.eq(caller.as_str())))
        .add_option(owner.as_ref().map(|owner| Column::Owner.eq(owner.as_str())))
        .add_option(since.map(|since| Column::HandOutTime.gte(micros(since))))
        .add_option(
            after
                .map(|(time, id)| behind((Column::HandOutTime, time), (Column::Id, *id.as_uuid()))),
        );
    Entity::find()
        .filter(met)
        .order_by_desc(Column::HandOutTime)
        .order_by_desc(Column::Id)
        .limit(*limit)
}

fn to_row(app: &AppId, entry: &AuditEntry) -> Model {
    let AuditEntry {
        id,
        time,
        caller,
        purpose,
        request_id,
        account,
        professional_account_id,
        owner,
        token_issue_time,
        token_expire_time,
        revision,
    } = entry;
    Model {
        id: *id.as_uuid(),
        app_id: app.as_str().to_owned(),
        hand_out_time: micros(*time),
        caller: caller.to_string(),
        purpose: purpose.as_str().to_owned(),
        request_id: request_id.as_str().to_owned(),
        account_id: *account.as_uuid(),
        professional_account_id: professional_account_id.to_string(),
        owner: owner.to_string(),
        token_issue_time: past_micros(*token_issue_time),
        token_expire_time: expiry_micros(*token_expire_time),
        revision: *revision,
    }
}

/// The values of a row, as its columns are in order.
fn values(row: &Model) -> ValueTuple {
    ValueTuple::Many(Column::iter().map(|column| row.get(column)).collect())
}

fn to_domain(row: Model) -> Result<AuditEntry, StoreError> {
    let Model {
        id,
        app_id: _,
        hand_out_time,
        caller,
        purpose,
        request_id,
        account_id,
        professional_account_id,
        owner,
        token_issue_time,
        token_expire_time,
        revision,
    } = row;
    Ok(AuditEntry {
        id: AuditId::from_uuid(id),
        time: instant("hand_out_time", hand_out_time)?,
        caller: parse("caller", &caller)?,
        purpose: parse("purpose", &purpose)?,
        request_id: parse("request_id", &request_id)?,
        account: AccountId::from_uuid(account_id),
        professional_account_id: parse("professional_account_id", &professional_account_id)?,
        owner: parse("owner", &owner)?,
        token_issue_time: past_time("token_issue_time", token_issue_time)?,
        token_expire_time: expire_time("token_expire_time", token_expire_time)?,
        revision,
    })
}

#[cfg(test)]
mod tests;
