//! What deleted accounts have left, erased in rounds.

use std::time::Duration;

use ig_domain::DeletionState;
use ig_domain::ports::StoreError;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _, FromQueryResult,
    Order, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
    UpdateMany,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::SeaOrmStore;
use super::columns::micros;
use super::entity::{
    account_event, former_account, link_attempt, pending_link, renewal_lease, token_audit,
    user_removal,
};
use super::error::translate;
use super::event_log::whole_micros;
use super::user_deletions::{rejected, state_name};

/// Time for which what a deleted account leaves is looked for. Ours: a call that had read the account before may write
/// its entry of the audit two calls to the store later.
const LATE_WRITE_WINDOW: Duration = Duration::from_secs(10);

/// Columns of an event that say more than that it happened. Those of webhooks are no part of the entity's.
const EVENT_BODY: [&str; 8] = [
    "changed_fields",
    "cause",
    "webhook_field",
    "webhook_direction",
    "webhook_peer_id",
    "webhook_time",
    "payload_size",
    "sealed_payload",
];

/// An account to erase, and the deletion that asks for it.
#[derive(FromQueryResult)]
struct Erased {
    account_id: Uuid,
    removal_code: String,
    request_time: i64,
}

impl SeaOrmStore {
    /// Erases at most `limit` rows of each kind that one account has left.
    pub(super) async fn erase_round(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        // A look that finds nothing takes no turn to write.
        let waiting = self.to_erase().select_only().column(former_account::Column::AccountId);
        if self.database.read(&waiting.into_query()).await?.is_empty() {
            return Ok(0);
        }
        let write = self.database.begin_write().await?;
        let Some(erased) = self.next_to_erase(write.on()).await? else { return Ok(0) };
        let touched = self.erase_rows(write.on(), erased.account_id, now, limit).await?;
        let is_over = touched == 0
            && erased.request_time + whole_micros(LATE_WRITE_WINDOW) <= micros(now)
            && !self.has_event_bodies(write.on(), erased.account_id).await?;
        if is_over {
            self.end_erasure(write.on(), &erased, now).await?;
        }
        write.commit().await?;
        self.database.note_erased();
        Ok(touched + u64::from(is_over))
    }

    fn to_erase(&self) -> Select<former_account::Entity> {
        use former_account::Column::{AppId, RemovalCode};
        former_account::Entity::find()
            .filter(AppId.eq(self.app.as_str()))
            .filter(RemovalCode.is_not_null())
            .limit(1)
    }

    /// An account of the deletion that waits the longest, unless another process is at it.
    async fn next_to_erase(&self, on: &DatabaseTransaction) -> Result<Option<Erased>, StoreError> {
        use former_account::Column::{AccountId, AppId, RemovalCode};
        use user_removal::Column as Removal;
        let former = former_account::Entity;
        let same_code = Condition::all()
            .add(Expr::col((user_removal::Entity, Removal::AppId)).equals((former, AppId)))
            .add(Expr::col((user_removal::Entity, Removal::Code)).equals((former, RemovalCode)));
        let next = Query::select()
            .columns([(former, AccountId), (former, RemovalCode)])
            .column((user_removal::Entity, Removal::RequestTime))
            .from(former)
            .inner_join(user_removal::Entity, same_code)
            .and_where(Expr::col((former, AppId)).eq(self.app.as_str()))
            .and_where(Expr::col((former, RemovalCode)).is_not_null())
            .order_by((user_removal::Entity, Removal::RequestTime), Order::Asc)
            .order_by((former, AccountId), Order::Asc)
            .limit(1)
            .lock_with_tables_behavior(
                LockType::Update,
                [user_removal::Entity],
                LockBehavior::SkipLocked,
            )
            .take();
        let next = on.query_one(&next).await.map_err(|error| translate(&error))?;
        let next = next.map(|row| Erased::from_query_result(&row, "")).transpose();
        next.map_err(|error| translate(&error))
    }

    async fn erase_rows(
        &self,
        on: &DatabaseTransaction,
        id: Uuid,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let events = self.erase_event_bodies(on, id, limit).await?;
        let audit = self.erase_audit(on, id, limit).await?;
        let attempts = self.erase_attempts(on, id, now).await?;
        let pending = pending_link::Entity::delete_many()
            .filter(pending_link::Column::AppId.eq(self.app.as_str()))
            .filter(pending_link::Column::AccountId.eq(id))
            .exec(on)
            .await;
        let pending = pending.map_err(|error| translate(&error))?.rows_affected;
        let lease = renewal_lease::Entity::delete_many()
            .filter(renewal_lease::Column::AppId.eq(self.app.as_str()))
            .filter(renewal_lease::Column::AccountId.eq(id))
            .exec(on)
            .await;
        let lease = lease.map_err(|error| translate(&error))?.rows_affected;
        Ok(events + audit + attempts + pending + lease)
    }

    /// Events of an account that say more than that they happened.
    fn with_body(&self, id: Uuid) -> Condition {
        use account_event::Column::{AccountId, AppId};
        let said = ["changed_fields", "cause", "webhook_field"];
        let said = said.into_iter().map(|column| Expr::col(column).is_not_null());
        Condition::all()
            .add(AppId.eq(self.app.as_str()))
            .add(AccountId.eq(id))
            .add(said.fold(Condition::any(), Condition::add))
    }

    async fn erase_event_bodies(
        &self,
        on: &DatabaseTransaction,
        id: Uuid,
        limit: u64,
    ) -> Result<u64, StoreError> {
        // The purge and the numbering lock rows in orders of their own.
        let some = account_event::Entity::find()
            .select_only()
            .column(account_event::Column::Id)
            .filter(self.with_body(id))
            .order_by_asc(account_event::Column::Id)
            .limit(limit)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_query();
        let mut erase = Query::update();
        erase.table(account_event::Entity);
        for column in EVENT_BODY {
            erase.value(column, Expr::cust("NULL"));
        }
        erase.and_where(account_event::Column::Id.in_subquery(some));
        let erased = on.execute(&erase).await.map_err(|error| translate(&error))?;
        Ok(erased.rows_affected())
    }

    async fn has_event_bodies(
        &self,
        on: &DatabaseTransaction,
        id: Uuid,
    ) -> Result<bool, StoreError> {
        let left = account_event::Entity::find()
            .select_only()
            .column(account_event::Column::Id)
            .filter(self.with_body(id))
            .limit(1)
            .into_tuple::<i64>()
            .one(on)
            .await;
        Ok(left.map_err(|error| translate(&error))?.is_some())
    }

    /// Takes the account out of the audit: caller, purpose and moments stay.
    async fn erase_audit(
        &self,
        on: &DatabaseTransaction,
        id: Uuid,
        limit: u64,
    ) -> Result<u64, StoreError> {
        use token_audit::Column::{AccountId, AppId, Id, ProfessionalAccountId};
        let some = token_audit::Entity::find()
            .select_only()
            .column(Id)
            .filter(AppId.eq(self.app.as_str()))
            .filter(AccountId.eq(id))
            .limit(limit)
            .into_query();
        let erased = token_audit::Entity::update_many()
            .col_expr(AccountId, Expr::value(Uuid::nil()))
            .col_expr(ProfessionalAccountId, Expr::value("0"))
            .filter(Id.in_subquery(some))
            .exec(on)
            .await;
        Ok(erased.map_err(|error| translate(&error))?.rows_affected)
    }

    /// Ends the attempts that linked the account, or were to re-authorise it, and erases their codes: without its id
    /// such a one might become one for any account.
    async fn erase_attempts(
        &self,
        on: &DatabaseTransaction,
        id: Uuid,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        use link_attempt::Column::{AccountId, AppId, LinkedAccountId};
        let ended = || -> UpdateMany<link_attempt::Entity> {
            let columns = link_attempt::ActiveModel { account_id: Set(None), ..rejected(now) };
            link_attempt::Entity::update_many().set(columns).filter(AppId.eq(self.app.as_str()))
        };
        let mut codes = Vec::new();
        for column in [LinkedAccountId, AccountId] {
            let ended = ended().filter(column.eq(id)).exec_with_returning(on).await;
            let ended = ended.map_err(|error| translate(&error))?;
            codes.extend(ended.into_iter().map(|row| row.code_hash));
        }
        let touched = codes.len() as u64;
        self.erase_hosted_codes(on, codes).await?;
        Ok(touched)
    }

    /// Forgets that the account was there, and ends the deletion whose last one it was.
    async fn end_erasure(
        &self,
        on: &DatabaseTransaction,
        erased: &Erased,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        use former_account::Column::{AccountId, AppId, RemovalCode};
        let of_code = Condition::all()
            .add(AppId.eq(self.app.as_str()))
            .add(RemovalCode.eq(erased.removal_code.as_str()));
        let forgotten = former_account::Entity::delete_many()
            .filter(of_code.clone())
            .filter(AccountId.eq(erased.account_id))
            .exec(on)
            .await;
        forgotten.map_err(|error| translate(&error))?;
        let left = former_account::Entity::find().filter(of_code).one(on).await;
        if left.map_err(|error| translate(&error))?.is_some() {
            return Ok(());
        }
        let ended = user_removal::Entity::update_many()
            .col_expr(user_removal::Column::State, Expr::value(state_name(DeletionState::Deleted)))
            .col_expr(user_removal::Column::EndTime, Expr::value(micros(now)))
            .filter(user_removal::Column::AppId.eq(self.app.as_str()))
            .filter(user_removal::Column::Code.eq(erased.removal_code.as_str()))
            .exec(on)
            .await;
        ended.map(drop).map_err(|error| translate(&error))
    }
}
