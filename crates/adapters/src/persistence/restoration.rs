//! A database that was restored: a new log of events, and every account due.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{Restoration, StoreError};
use ig_domain::{AccountId, EventPosition, ReauthorizationReason};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::columns::{micros, reason_name};
use super::entity::event_log::{self, Column as Log};
use super::entity::instagram_account::{Column, Entity};
use super::error::translate;
use super::random_id::random_id;
use super::store_meter::Operation;
use super::{SeaOrmStore, lease};

/// Number of accounts that one transaction makes due. Ours: it locks them for some milliseconds.
const MAX_DUE_ACCOUNTS: u64 = 500;

#[async_trait]
impl Restoration for SeaOrmStore {
    async fn begin_new_log(&self) -> Result<EventPosition, StoreError> {
        self.call(Operation::Restore, async {
            let write = self.database.begin_write().await?;
            self.ensure_log(write.on()).await?;
            let begun = event_log::Entity::update_many()
                .col_expr(Log::LogId, random_id(self.backend()))
                .col_expr(Log::PurgedNumber, Expr::col(Log::HeadNumber))
                .col_expr(Log::PurgedEventId, Expr::col(Log::HeadEventId))
                .col_expr(Log::PurgedTime, lease::now(self.backend()))
                .filter(Log::AppId.eq(self.app.as_str()));
            begun.exec(write.on()).await.map_err(|error| translate(&error))?;
            write.commit().await?;
            Ok(self.looked(None).await?.purged())
        })
        .await
    }

    async fn make_due(
        &self,
        after: Option<AccountId>,
        now: OffsetDateTime,
        reading_interval: Duration,
    ) -> Result<Option<(AccountId, u64)>, StoreError> {
        self.call(Operation::Restore, async {
            let write = self.database.begin_write().await?;
            let mut accounts = self.accounts().select_only().column(Column::Id);
            if let Some(after) = after {
                accounts = accounts.filter(Column::Id.gt(*after.as_uuid()));
            }
            let accounts =
                accounts.order_by_asc(Column::Id).limit(MAX_DUE_ACCOUNTS).lock_exclusive();
            let ids = accounts.into_tuple::<Uuid>().all(write.on()).await;
            let ids = ids.map_err(|error| translate(&error))?;
            let Some(last) = ids.last().copied() else { return Ok(None) };
            let ids: Vec<AccountId> = ids.into_iter().map(AccountId::from_uuid).collect();
            let made = self.make_accounts_due(write.on(), &ids, now, reading_interval).await?;
            write.commit().await?;
            Ok(Some((AccountId::from_uuid(last), made)))
        })
        .await
    }
}

impl SeaOrmStore {
    /// Makes those of these accounts due that have a token: their last reading is an interval ago at least. Returns
    /// their number.
    pub(super) async fn make_accounts_due(
        &self,
        on: &DatabaseTransaction,
        ids: &[AccountId],
        now: OffsetDateTime,
        reading_interval: Duration,
    ) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        // A visit judges by the account: the last reading moves back by as much as makes it due.
        let read = micros(now - reading_interval);
        let read = CaseStatement::new()
            .case(Expr::col(Column::ProfileTime).gt(read), read)
            .finally(Expr::col(Column::ProfileTime));
        let tokenless = reason_name(ReauthorizationReason::Deauthorized);
        let made = Entity::update_many()
            .col_expr(Column::NextVisitTime, Expr::value(micros(now)))
            .col_expr(Column::RetryTime, Expr::value(None::<i64>))
            .col_expr(Column::FailedVisits, Expr::value(0_i64))
            .col_expr(Column::ProfileTime, read.into())
            .filter(Column::Id.is_in(ids.iter().map(|id| *id.as_uuid())))
            .filter(self.is_own())
            .filter(Column::Refused.is_null().or(Column::Refused.ne(tokenless)))
            .exec(on)
            .await;
        Ok(made.map_err(|error| translate(&error))?.rows_affected)
    }
}
