//! Numbers of events. Whoever gives them holds the log's row until its commit: so a number that is seen has none below
//! it that is still to come.

use ig_domain::ports::{Cause, MAX_NUMBERED_EVENTS, StoreError};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query, SelectStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _,
    FromQueryResult as _, QueryFilter as _, QuerySelect as _, Statement,
};

use super::SeaOrmStore;
use super::entity::account_event::{Column, Entity};
use super::entity::event_log::{self, Column as Log};
use super::error::translate;
use super::event_log::LogRow;

/// Gives numbers to the oldest events that wait for one. Locking comes before, in a statement of its own: this one then
/// sees what was numbered under the lock before.
const NUMBERING: &str = "WITH waiting AS (
        SELECT id, row_number() OVER (ORDER BY id) AS place FROM (
            SELECT id FROM account_event WHERE app_id = $1 AND number IS NULL ORDER BY id LIMIT $3
        ) AS oldest
    )
    UPDATE account_event SET number = $2 + waiting.place FROM waiting
    WHERE account_event.id = waiting.id";

impl SeaOrmStore {
    /// The log, locked; `None` where there is none. Waits for another that has it.
    pub(super) async fn locked_log(
        &self,
        on: &DatabaseTransaction,
    ) -> Result<Option<event_log::Model>, StoreError> {
        let log = event_log::Entity::find().filter(Log::AppId.eq(self.app.as_str()));
        log.lock_exclusive().one(on).await.map_err(|error| translate(&error))
    }

    /// The log, locked; `None` where there is none, or another has it, who numbers what waits.
    pub(super) async fn free_log(
        &self,
        on: &DatabaseTransaction,
    ) -> Result<Option<event_log::Model>, StoreError> {
        let log = event_log::Entity::find()
            .filter(Log::AppId.eq(self.app.as_str()))
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        log.one(on).await.map_err(|error| translate(&error))
    }

    /// The last number of the log, once it is locked and no event waits for its number: what this transaction writes
    /// may have the next ones. Waits for another that gives numbers.
    pub(super) async fn last_number(&self, on: &DatabaseTransaction) -> Result<i64, StoreError> {
        let mut log = self.log_of_all(on).await?;
        if log.is_none() {
            self.ensure_log(on).await?;
            log = self.log_of_all(on).await?;
        }
        let log = log.ok_or_else(|| StoreError::Internal(Cause::new("there is no log")))?;
        let mut last = log.head().number;
        let mut waits = log.waits();
        while waits {
            let numbered = self.number_behind(on, last).await?;
            last += numbered;
            waits = numbered > 0;
        }
        Ok(last)
    }

    async fn log_of_all(&self, on: &DatabaseTransaction) -> Result<Option<LogRow>, StoreError> {
        let row = on.query_one(&self.state_to_number_behind()).await;
        let row = row.map_err(|error| translate(&error))?;
        let row = row.map(|row| LogRow::from_query_result(&row, "")).transpose();
        row.map_err(|error| translate(&error))
    }

    /// One look at the log, which locks it.
    pub(super) fn state_to_number_behind(&self) -> SelectStatement {
        self.state(0).lock(LockType::Update).to_owned()
    }

    /// Numbers the events that wait, at most [`MAX_NUMBERED_EVENTS`], behind the last number; returns how many.
    pub(super) async fn number_behind(
        &self,
        on: &DatabaseTransaction,
        last: i64,
    ) -> Result<i64, StoreError> {
        let limit = i64::try_from(MAX_NUMBERED_EVENTS).unwrap_or(i64::MAX);
        let values = [self.app.as_str().into(), last.into(), limit.into()];
        let numbering = Statement::from_sql_and_values(self.backend(), NUMBERING, values);
        let numbered = on.execute_raw(numbering).await.map_err(|error| translate(&error))?;
        let numbered = i64::try_from(numbered.rows_affected()).unwrap_or(i64::MAX);
        if numbered > 0 {
            self.move_head(on, last + numbered).await?;
        }
        Ok(numbered)
    }

    /// Notes the last number that was given.
    pub(super) async fn move_head(
        &self,
        on: &DatabaseTransaction,
        number: i64,
    ) -> Result<(), StoreError> {
        let event = Query::select()
            .column(Column::EventId)
            .from(Entity)
            .and_where(Column::AppId.eq(self.app.as_str()))
            .and_where(Column::Number.eq(number))
            .take();
        let moved = event_log::Entity::update_many()
            .col_expr(Log::HeadNumber, Expr::value(number))
            .col_expr(Log::HeadEventId, Expr::from(event))
            .filter(Log::AppId.eq(self.app.as_str()));
        moved.exec(on).await.map(drop).map_err(|error| translate(&error))
    }
}
