//! The purge of old events, and of consumers that nobody opens.

use std::time::Duration;

use ig_domain::ports::StoreError;
use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _, FromQueryResult,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
};
use uuid::Uuid;

use super::entity::account_event::{Column, Entity};
use super::entity::event_log::{self, Column as Log};
use super::error::translate;
use super::event_log::whole_micros;
use super::{SeaOrmStore, lease};

impl SeaOrmStore {
    /// Does both in one transaction. Nothing where another process does it.
    pub(super) async fn purge_events(
        &self,
        window: Duration,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let write = self.database.begin_write().await?;
        self.forget_consumers(write.on(), window).await?;
        let Some(log) = self.locked_log(write.on()).await? else { return Ok(0) };
        let purged = self.purge_old(write.on(), &log, window, limit).await?;
        write.commit().await?;
        Ok(purged)
    }

    /// The numbered events, oldest first, as a purge looks at them.
    pub(super) fn oldest(&self, limit: u64) -> SelectStatement {
        self.events()
            .select_only()
            .columns([Column::Number, Column::EventId, Column::EventTime])
            .expr_as(lease::now(self.backend()), "now")
            .filter(Column::Number.is_not_null())
            .order_by_asc(Column::Number)
            .limit(limit)
            .into_query()
    }

    /// Deletes the oldest events that are older than `window` or of a former log, and notes the last of them.
    async fn purge_old(
        &self,
        on: &DatabaseTransaction,
        log: &event_log::Model,
        window: Duration,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let rows = on.query_all(&self.oldest(limit)).await.map_err(|error| translate(&error))?;
        let rows = rows.iter().map(|row| OldEvent::from_query_result(row, ""));
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|error| translate(&error))?;
        let is_old = |event: &&OldEvent| {
            event.number <= log.purged_number
                || event.event_time <= event.now - whole_micros(window)
        };
        let old: Vec<_> = rows.iter().take_while(is_old).collect();
        let Some(last) = old.last() else { return Ok(0) };
        let deletion = Entity::delete_many()
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::Number.lte(last.number));
        deletion.exec(on).await.map_err(|error| translate(&error))?;
        if last.number > log.purged_number {
            let times = old.iter().map(|event| event.event_time);
            let purged = event_log::Entity::update_many()
                .col_expr(Log::PurgedNumber, Expr::value(last.number))
                .col_expr(Log::PurgedEventId, Expr::value(last.event_id))
                .col_expr(Log::PurgedTime, Expr::value(times.fold(log.purged_time, std::cmp::max)))
                .filter(Log::AppId.eq(self.app.as_str()));
            purged.exec(on).await.map_err(|error| translate(&error))?;
        }
        Ok(old.len() as u64)
    }
}

/// An event as a purge looks at it.
#[derive(FromQueryResult)]
struct OldEvent {
    number: i64,
    event_id: Uuid,
    event_time: i64,
    now: i64,
}
