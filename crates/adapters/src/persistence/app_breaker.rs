//! The app's breaker, in a row that all replicas share.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::TroubleCause;
use ig_domain::ports::{AppBreaker, Breaker, OpenBreaker, StoreError};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryTrait as _, UpdateMany,
};
use time::OffsetDateTime;

use super::SeaOrmStore;
use super::columns::{instant, micros};
use super::entity::app_breaker::{ActiveModel, Column, Entity, Model};
use super::error::translate;
use super::store_meter::Operation;

#[async_trait]
impl AppBreaker for SeaOrmStore {
    async fn load(&self) -> Result<Breaker, StoreError> {
        self.call(Operation::Breaker, async {
            let row = Entity::find().filter(Column::AppId.eq(self.app.as_str())).into_query();
            let row: Option<Model> = self.database.read_one(&row).await?;
            row.map_or_else(|| Ok(Breaker::default()), to_domain)
        })
        .await
    }

    async fn open(&self, cause: TroubleCause, now: OffsetDateTime) -> Result<bool, StoreError> {
        self.call(Operation::Breaker, async {
            let write = self.database.begin_write().await?;
            let row =
                ActiveModel { app_id: Set(self.app.as_str().to_owned()), ..Default::default() };
            let present = Entity::insert(row)
                .on_conflict(OnConflict::column(Column::AppId).do_nothing().to_owned())
                .exec_without_returning(write.on());
            present.await.map_err(|error| translate(&error))?;
            let opening = self
                .breaker()
                .col_expr(Column::Cause, Expr::value(cause.as_str()))
                .col_expr(Column::SinceTime, Expr::value(micros(now)))
                .col_expr(Column::ProbeTime, Expr::value(micros(now)))
                .filter(Column::SinceTime.is_null());
            let opened = opening.exec(write.on()).await.map_err(|error| translate(&error))?;
            write.commit().await?;
            Ok(opened.rows_affected > 0)
        })
        .await
    }

    async fn close(
        &self,
        since_time: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let closing = self
            .breaker()
            .col_expr(Column::SinceTime, Expr::value(None::<i64>))
            .col_expr(Column::CloseTime, Expr::value(micros(now)))
            .filter(Column::SinceTime.eq(micros(since_time)));
        self.change_breaker(closing).await
    }

    async fn take_probe(
        &self,
        now: OffsetDateTime,
        interval: Duration,
    ) -> Result<bool, StoreError> {
        let taking = self
            .breaker()
            .col_expr(Column::ProbeTime, Expr::value(micros(now)))
            .filter(Column::SinceTime.is_not_null())
            .filter(Column::ProbeTime.lte(micros(now - interval)));
        self.change_breaker(taking).await
    }
}

impl SeaOrmStore {
    fn breaker(&self) -> UpdateMany<Entity> {
        Entity::update_many().filter(Column::AppId.eq(self.app.as_str()))
    }

    /// Makes a change of the breaker; returns whether there was anything to change.
    async fn change_breaker(&self, change: UpdateMany<Entity>) -> Result<bool, StoreError> {
        self.call(Operation::Breaker, async {
            let write = self.database.begin_write().await?;
            let changed = change.exec(write.on()).await.map_err(|error| translate(&error))?;
            write.commit().await?;
            Ok(changed.rows_affected > 0)
        })
        .await
    }
}

/// The breaker of a row. A cause of a newer version is the one that says least.
fn to_domain(row: Model) -> Result<Breaker, StoreError> {
    let Model { app_id: _, cause, since_time, probe_time: _, close_time } = row;
    let cause = cause.as_deref().and_then(TroubleCause::from_name);
    let cause = cause.unwrap_or(TroubleCause::InstagramUnexpected);
    let since_time = since_time.map(|time| instant("since_time", time)).transpose()?;
    Ok(Breaker {
        open: since_time.map(|since_time| OpenBreaker { cause, since_time }),
        close_time: close_time.map(|time| instant("close_time", time)).transpose()?,
    })
}
