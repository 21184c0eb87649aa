//! The log of events: numbers, pages and positions.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    Cause, EventLog, EventSurvey, LogCount, LogState, MAX_NUMBERED_EVENTS, StoreError,
};
use ig_domain::{
    AccountEvent, AccountId, EventChange, EventId, EventKind, EventPosition, LogId, LoggedEvent,
};
use sea_orm::sea_query::{
    CaseStatement, Expr, ExprTrait as _, Func, LockBehavior, LockType, OnConflict, Query,
    SelectStatement,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbBackend, EntityTrait as _,
    FromQueryResult, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
    Statement,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::columns::{instant, micros, parse};
use super::entity::account_event::{Column, Entity, Model};
use super::entity::event_log::{self, Column as Log};
use super::error::translate;
use super::random_id::random_id;
use super::store_meter::Operation;
use super::webhooks::{UpdateColumns, update};
use super::{SeaOrmStore, lease};

/// Time within which transactions that wrote at the same time commit: events this far behind another may have a number
/// before it. Ours, and much: a call to the store ends within seconds.
const MAX_COMMIT_DELAY: Duration = Duration::from_mins(1);

/// Gives numbers to the oldest events that wait for one. Locking comes before, in a statement of its own: this one then
/// sees what was numbered under the lock before.
const NUMBERING: &str = "WITH waiting AS (
        SELECT id, row_number() OVER (ORDER BY id) AS place FROM (
            SELECT id FROM account_event WHERE app_id = $1 AND number IS NULL ORDER BY id LIMIT $3
        ) AS oldest
    )
    UPDATE account_event SET number = $2 + waiting.place FROM waiting
    WHERE account_event.id = waiting.id RETURNING number, event_id";

/// The log as one look sees it.
#[derive(FromQueryResult)]
pub(super) struct LogRow {
    log_id: Uuid,
    head_number: i64,
    head_event_id: Uuid,
    purged_number: i64,
    purged_event_id: Uuid,
    purged_time: i64,
    /// The store's own clock.
    pub(super) now: i64,
    /// The event of the number that was asked for.
    at_event: Option<Uuid>,
    waits: bool,
}

impl LogRow {
    pub(super) fn head(&self) -> EventPosition {
        self.position(self.head_number, self.head_event_id)
    }

    pub(super) fn purged(&self) -> EventPosition {
        self.position(self.purged_number, self.purged_event_id)
    }

    fn position(&self, number: i64, event: Uuid) -> EventPosition {
        let log = LogId::from_uuid(self.log_id);
        EventPosition { log, number, event: EventId::from_uuid(event) }
    }

    /// Whether the log, looked at for `at`, holds it.
    fn holds(&self, at: &EventPosition) -> bool {
        let is_kept = at.number > self.purged_number && self.at_event == Some(*at.event.as_uuid());
        at.log.as_uuid() == &self.log_id && (is_kept || *at == self.purged())
    }
}

#[async_trait]
impl EventLog for SeaOrmStore {
    async fn look(&self, at: Option<&EventPosition>) -> Result<LogState, StoreError> {
        self.call(Operation::LookAtEvents, async {
            let row = self.looked(at).await?;
            Ok(LogState {
                head: row.head(),
                purged: row.purged(),
                waits: row.waits,
                holds: at.is_none_or(|at| row.holds(at)),
            })
        })
        .await
    }

    async fn number_waiting(&self) -> Result<u64, StoreError> {
        // A trigger gives the number there: no poll takes a turn to write.
        if self.backend() == DbBackend::Sqlite {
            return Ok(0);
        }
        self.call(Operation::NumberEvents, async {
            let write = self.database.begin_write().await?;
            let Some(log) = self.locked_log(write.on()).await? else { return Ok(0) };
            let numbered = self.number_behind(write.on(), log.head_number).await?;
            write.commit().await?;
            Ok(numbered)
        })
        .await
    }

    async fn page(&self, after: i64, limit: u64) -> Result<Vec<LoggedEvent>, StoreError> {
        self.call(Operation::ReadEvents, async {
            let rows = self.database.read(&self.numbered_after(after, limit)).await?;
            let rows = rows.iter().map(|row| Model::from_query_result(row, "").map(to_domain));
            rows.collect::<Result<_, _>>().map_err(|error| translate(&error))
        })
        .await
    }

    async fn since(
        &self,
        time: OffsetDateTime,
        window: Duration,
    ) -> Result<Option<EventPosition>, StoreError> {
        // Apart, since the future of so many statements is large.
        self.call(Operation::ReadEvents, Box::pin(self.position_since(micros(time), window))).await
    }

    async fn written(&self) {
        self.database.event_committed.notified().await;
    }

    async fn purge(&self, window: Duration, limit: u64) -> Result<u64, StoreError> {
        self.call(Operation::PurgeEvents, self.purge_events(window, limit)).await
    }
}

#[async_trait]
impl EventSurvey for SeaOrmStore {
    async fn count_log(&self) -> Result<LogCount, StoreError> {
        self.call(Operation::LookAtEvents, async {
            let log: Option<LogRow> = self.database.read_one(&self.state(0)).await?;
            let waiting: Option<Waiting> = self.database.read_one(&self.waiting()).await?;
            let kept_after = log.as_ref().map_or(0, |log| log.purged_number);
            let oldest = self.database.read(&self.numbered_after(kept_after, 1)).await?;
            let oldest = oldest.first().map(|row| row.try_get::<i64>("", "event_time")).transpose();
            let oldest = oldest.map_err(|error| translate(&error))?;
            let age = waiting.as_ref().and_then(|waiting| Some(waiting.now - waiting.first?));
            Ok(LogCount {
                kept: log.map_or(0, |log| whole(log.head_number - log.purged_number)),
                unnumbered: waiting.map_or(0, |waiting| whole(waiting.number)),
                unnumbered_age: Duration::from_micros(whole(age.unwrap_or_default())),
                oldest_time: oldest.map(|time| instant("event_time", time)).transpose()?,
            })
        })
        .await
    }
}

/// Number and first moment of the events that wait for their number.
#[derive(FromQueryResult)]
struct Waiting {
    number: i64,
    first: Option<i64>,
    now: i64,
}

/// One number.
#[derive(FromQueryResult)]
struct Number {
    number: Option<i64>,
}

impl SeaOrmStore {
    /// The events of this app.
    pub(super) fn events(&self) -> Select<Entity> {
        Entity::find().filter(Column::AppId.eq(self.app.as_str()))
    }

    /// One look at the log, and at the event of the number `at`: none has 0.
    pub(super) fn state(&self, at: i64) -> SelectStatement {
        let at_event = self
            .events()
            .select_only()
            .column(Column::EventId)
            .filter(Column::Number.eq(at))
            .into_query();
        let waiting = self
            .events()
            .select_only()
            .expr(Expr::val(1))
            .filter(Column::Number.is_null())
            .into_query();
        event_log::Entity::find()
            .filter(Log::AppId.eq(self.app.as_str()))
            .expr_as(lease::now(self.backend()), "now")
            .expr_as(Expr::from(at_event), "at_event")
            .expr_as(Expr::exists(waiting), "waits")
            .into_query()
    }

    /// One look at the log, which is made where there is none.
    pub(super) async fn looked(&self, at: Option<&EventPosition>) -> Result<LogRow, StoreError> {
        let state = self.state(at.map_or(0, |at| at.number));
        if let Some(row) = self.database.read_one(&state).await? {
            return Ok(row);
        }
        let write = self.database.begin_write().await?;
        self.ensure_log(write.on()).await?;
        write.commit().await?;
        let row = self.database.read_one(&state).await?;
        row.ok_or_else(|| StoreError::Internal(Cause::new("the log of events is not there")))
    }

    /// The position before the first event at or after `time`.
    async fn position_since(
        &self,
        time: i64,
        window: Duration,
    ) -> Result<Option<EventPosition>, StoreError> {
        let log = self.looked(None).await?;
        if time <= log.purged_time || time < log.now - whole_micros(window) {
            return Ok(None);
        }
        let number = match self.number(&self.first_since(time)).await? {
            Some(first) => self.number(&self.lowest_within_delay(first)).await?,
            None => None,
        };
        let Some(before) = number.map(|number| number - 1) else { return Ok(Some(log.head())) };
        if before <= log.purged_number {
            return Ok(Some(log.purged()));
        }
        let before_it: Option<LogRow> = self.database.read_one(&self.state(before)).await?;
        // Where it was purged just now, so was what the caller asks for.
        let event = before_it.and_then(|row| row.at_event);
        Ok(event.map(|event| log.position(before, event)))
    }

    /// Makes sure that there is a log.
    pub(super) async fn ensure_log(&self, on: &DatabaseTransaction) -> Result<(), StoreError> {
        let columns = [Log::AppId, Log::LogId, Log::HeadEventId, Log::PurgedEventId];
        let nil = || Expr::value(Uuid::nil());
        let values = [Expr::value(self.app.as_str()), random_id(self.backend()), nil(), nil()];
        let present = Query::insert()
            .into_table(event_log::Entity)
            .columns(columns)
            .values_panic(values)
            .on_conflict(OnConflict::column(Log::AppId).do_nothing().to_owned())
            .take();
        on.execute(&present).await.map(drop).map_err(|error| translate(&error))
    }

    /// The log, locked. `None` where there is none, or another has it: none waits for another here.
    pub(super) async fn locked_log(
        &self,
        on: &DatabaseTransaction,
    ) -> Result<Option<event_log::Model>, StoreError> {
        let log = event_log::Entity::find()
            .filter(Log::AppId.eq(self.app.as_str()))
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        log.one(on).await.map_err(|error| translate(&error))
    }

    async fn number_behind(&self, on: &DatabaseTransaction, head: i64) -> Result<u64, StoreError> {
        let limit = i64::try_from(MAX_NUMBERED_EVENTS).unwrap_or(i64::MAX);
        let values = [self.app.as_str().into(), head.into(), limit.into()];
        let numbering = Statement::from_sql_and_values(self.backend(), NUMBERING, values);
        let numbered = on.query_all_raw(numbering).await.map_err(|error| translate(&error))?;
        let numbered = numbered
            .iter()
            .map(|row| Ok((row.try_get("", "number")?, row.try_get("", "event_id")?)))
            .collect::<Result<Vec<(i64, Uuid)>, sea_orm::DbErr>>()
            .map_err(|error| translate(&error))?;
        let Some((number, event)) = numbered.iter().max() else { return Ok(0) };
        let moved = event_log::Entity::update_many()
            .col_expr(Log::HeadNumber, Expr::value(*number))
            .col_expr(Log::HeadEventId, Expr::value(*event))
            .filter(Log::AppId.eq(self.app.as_str()))
            .exec(on);
        moved.await.map_err(|error| translate(&error))?;
        Ok(numbered.len() as u64)
    }

    /// Events with a number above `after` that were not purged.
    pub(super) fn numbered_after(&self, after: i64, limit: u64) -> SelectStatement {
        let purged = event_log::Entity::find()
            .select_only()
            .column(Log::PurgedNumber)
            .filter(Log::AppId.eq(self.app.as_str()))
            .into_query();
        // One bound, so that no events between the two are walked through.
        let is_purged = Expr::from(purged.clone()).gt(after);
        let after = CaseStatement::new().case(is_purged, Expr::from(purged)).finally(after);
        self.events()
            .filter(Expr::col(Column::Number).gt(after))
            .order_by_asc(Column::Number)
            .limit(limit)
            .into_query()
    }

    /// Moment of the first event at or after `time`.
    pub(super) fn first_since(&self, time: i64) -> SelectStatement {
        self.events()
            .select_only()
            .column_as(Column::EventTime, "number")
            .filter(Column::EventTime.gte(time))
            .order_by_asc(Column::EventTime)
            .limit(1)
            .into_query()
    }

    /// The lowest number of the events that may have been written before one of the moment `first` got its number.
    pub(super) fn lowest_within_delay(&self, first: i64) -> SelectStatement {
        self.events()
            .select_only()
            // As a sum, lest all events are walked through by their number.
            .expr_as(Func::min(Expr::col(Column::Number).add(0)), "number")
            .filter(Column::EventTime.between(first, first + whole_micros(MAX_COMMIT_DELAY)))
            .into_query()
    }

    /// The events that wait for their number.
    pub(super) fn waiting(&self) -> SelectStatement {
        self.events()
            .select_only()
            .column_as(Column::Id.count(), "number")
            .column_as(Column::EventTime.min(), "first")
            .expr_as(lease::now(self.backend()), "now")
            .filter(Column::Number.is_null())
            .into_query()
    }

    async fn number(&self, query: &SelectStatement) -> Result<Option<i64>, StoreError> {
        Ok(self.database.read_one::<Number>(query).await?.and_then(|row| row.number))
    }
}

/// The event of a row. One that cannot be read is passed over: nobody waits for it to be mended.
fn to_domain(row: Model) -> LoggedEvent {
    let (number, id) = (row.number.unwrap_or_default(), EventId::from_uuid(row.event_id));
    let time = instant("event_time", row.event_time);
    LoggedEvent {
        number,
        id,
        event: time.is_ok().then(|| event(row)).flatten(),
        time: time.unwrap_or(OffsetDateTime::UNIX_EPOCH),
    }
}

fn event(row: Model) -> Option<AccountEvent> {
    let Model {
        id: _,
        app_id: _,
        number: _,
        event_id: _,
        kind,
        event_time: _,
        account_id,
        professional_account_id,
        owner,
        revision,
        changed_fields,
        cause,
        webhook_id,
        webhook_field,
        webhook_direction,
        webhook_peer_id,
        webhook_time,
        payload_size,
    } = row;
    let change = if kind == EventKind::Webhook.as_str() {
        EventChange::Webhook(update(UpdateColumns {
            id: webhook_id,
            field: webhook_field,
            direction: webhook_direction,
            peer_id: webhook_peer_id,
            time: webhook_time,
            payload_size,
        })?)
    } else {
        EventChange::from_names(&kind, changed_fields.as_deref(), cause.as_deref())?
    };
    Some(AccountEvent {
        account_id: AccountId::from_uuid(account_id),
        professional_account_id: parse("professional_account_id", &professional_account_id).ok()?,
        owner: parse("owner", &owner).ok()?,
        revision,
        change,
    })
}

pub(super) fn whole_micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn whole(number: i64) -> u64 {
    number.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests;
