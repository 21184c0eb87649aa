//! The lease on renewing an account's token.

use async_trait::async_trait;
use ig_domain::ports::{RENEWAL_LEASE, RenewalLeases, StoreError};
use ig_domain::{AccountId, LeaseHolder};
use sea_orm::sea_query::{
    Condition, Expr, InsertStatement, LockBehavior, LockType, OnConflict, Query,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect,
    QueryTrait, UpdateMany,
};

use super::entity::renewal_lease::{Column, Entity};
use super::error::translate;
use super::store_meter::Operation;
use super::{SeaOrmStore, lease};

#[async_trait]
impl RenewalLeases for SeaOrmStore {
    async fn claim(&self, account: AccountId, holder: LeaseHolder) -> Result<bool, StoreError> {
        self.call(Operation::ClaimRenewal, async {
            let write = self.database.begin_write().await?;
            let first = write.on().execute(&self.first_claim(account, holder)).await;
            let mut claimed = first.map_err(|error| translate(&error))?.rows_affected();
            if claimed == 0 {
                let taken_over = self.take_over(account, holder).exec(write.on()).await;
                claimed = taken_over.map_err(|error| translate(&error))?.rows_affected;
            }
            write.commit().await?;
            Ok(claimed > 0)
        })
        .await
    }

    async fn extend(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        self.call(Operation::ExtendRenewal, async {
            let write = self.database.begin_write().await?;
            self.extend_renewal(write.on(), account, holder).await?;
            write.commit().await
        })
        .await
    }

    async fn release(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        self.call(Operation::ReleaseRenewal, async {
            let write = self.database.begin_write().await?;
            let held = Entity::delete_many()
                .filter(self.lease_on(account))
                .filter(Column::LeaseHolder.eq(*holder.as_uuid()));
            held.exec(write.on()).await.map_err(|error| translate(&error))?;
            write.commit().await
        })
        .await
    }
}

impl SeaOrmStore {
    /// Extends the lease of its holder.
    pub(super) async fn extend_renewal(
        &self,
        on: &DatabaseTransaction,
        account: AccountId,
        holder: LeaseHolder,
    ) -> Result<(), StoreError> {
        let held = Entity::update_many()
            .col_expr(Column::LeaseEnd, lease::end(RENEWAL_LEASE, self.backend()))
            .filter(self.lease_on(account))
            .filter(Column::LeaseHolder.eq(*holder.as_uuid()));
        let extended = held.exec(on).await.map_err(|error| translate(&error))?;
        if extended.rows_affected == 0 { Err(StoreError::LeaseLost) } else { Ok(()) }
    }

    fn lease_on(&self, account: AccountId) -> Condition {
        Condition::all()
            .add(Column::AppId.eq(self.app.as_str()))
            .add(Column::AccountId.eq(*account.as_uuid()))
    }

    /// A lease where there is none; nothing where there is one, whoever holds it.
    fn first_claim(&self, account: AccountId, holder: LeaseHolder) -> InsertStatement {
        let (app, account) = (Expr::value(self.app.as_str()), Expr::value(*account.as_uuid()));
        let (holder, end) =
            (Expr::value(*holder.as_uuid()), lease::end(RENEWAL_LEASE, self.backend()));
        let leased =
            OnConflict::columns([Column::AppId, Column::AccountId]).do_nothing().to_owned();
        Query::insert()
            .into_table(Entity)
            .columns([Column::AppId, Column::AccountId, Column::LeaseHolder, Column::LeaseEnd])
            .values_panic([app, account, holder, end])
            .on_conflict(leased)
            .to_owned()
    }

    /// A lease that has ended. A row that somebody has locked is being written by its holder: it is passed by, not
    /// waited for.
    fn take_over(&self, account: AccountId, holder: LeaseHolder) -> UpdateMany<Entity> {
        let claimable = Entity::find()
            .select_only()
            .column(Column::AccountId)
            .filter(self.lease_on(account))
            .filter(lease::has_ended(Column::LeaseEnd, RENEWAL_LEASE, self.backend()))
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_query();
        Entity::update_many()
            .col_expr(Column::LeaseHolder, Expr::value(*holder.as_uuid()))
            .col_expr(Column::LeaseEnd, lease::end(RENEWAL_LEASE, self.backend()))
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::AccountId.in_subquery(claimable))
    }
}
