//! The lease on renewing an account's token.

use async_trait::async_trait;
use ig_domain::ports::{RenewalLeases, StoreError};
use ig_domain::{AccountId, LeaseHolder};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::calls::Operation;
use super::entity::renewal_lease::{Column, Entity};
use super::error::translate;
use super::{SeaOrmStore, lease};

#[async_trait]
impl RenewalLeases for SeaOrmStore {
    async fn claim(&self, account: AccountId, holder: LeaseHolder) -> Result<bool, StoreError> {
        let account = Expr::value(*account.as_uuid());
        let holder = *holder.as_uuid();
        let stored = |column| Expr::col((Entity, column));
        let free = stored(Column::LeaseEnd)
            .lte(lease::now(self.backend()))
            .or(stored(Column::LeaseHolder).eq(holder));
        let taking_over = OnConflict::columns([Column::AppId, Column::AccountId])
            .update_columns([Column::LeaseHolder, Column::LeaseEnd])
            .action_and_where(free)
            .to_owned();
        let app = Expr::value(self.app.as_str());
        let claim = Query::insert()
            .into_table(Entity)
            .columns([Column::AppId, Column::AccountId, Column::LeaseHolder, Column::LeaseEnd])
            .values_panic([app, account, Expr::value(holder), lease::end(self.backend())])
            .on_conflict(taking_over)
            .to_owned();
        self.call(Operation::ClaimRenewal, async {
            let write = self.database.begin_write().await?;
            let claimed = write.on().execute(&claim).await.map_err(|error| translate(&error))?;
            write.commit().await?;
            Ok(claimed.rows_affected() > 0)
        })
        .await
    }

    async fn release(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        self.call(Operation::ReleaseRenewal, async {
            let write = self.database.begin_write().await?;
            let held = Entity::delete_many()
                .filter(Column::AppId.eq(self.app.as_str()))
                .filter(Column::AccountId.eq(*account.as_uuid()))
                .filter(Column::LeaseHolder.eq(*holder.as_uuid()));
            held.exec(write.on()).await.map_err(|error| translate(&error))?;
            write.commit().await
        })
        .await
    }
}
