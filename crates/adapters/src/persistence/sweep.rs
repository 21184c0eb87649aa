//! Marking what has expired, ending what nobody will finish, and forgetting what nobody will ask for.

use ig_domain::ports::{GraphFacts, RENEWAL_LEASE, StoreError};
use ig_domain::{
    CODE_LIFETIME, EventChange, LINK_RETENTION, LinkOutcome, LinkRefusal, ReauthorizationReason,
    SHORT_LIVED_LIFETIME,
};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    TryGetableMany,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::account_row::without_failures;
use super::attempt_row::{ENDED, EXCHANGED, SENT, UNSENT, ended_columns};
use super::columns::{micros, reason_name};
use super::entity::link_attempt::{self, Column};
use super::entity::{instagram_account, pending_link, renewal_lease};
use super::error::translate;
use super::events::NewEvent;
use super::{SeaOrmStore, lease};

impl SeaOrmStore {
    /// Does all of it in one transaction, at most `limit` rows of each kind.
    pub(super) async fn sweep_links(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let write = self.database.begin_write().await?;
        let rejected = LinkRefusal::CodeRejected(GraphFacts::default());
        let untaken = self.end_stale(write.on(), &[UNSENT], rejected, now, limit).await?;
        let interrupted = LinkRefusal::Interrupted;
        let begun = self.end_stale(write.on(), &[SENT, EXCHANGED], interrupted, now, limit).await?;
        let attempts = self.forget_attempts(write.on(), now, limit).await?;
        let pending = self.forget_pending_links(write.on(), now, limit).await?;
        let removals = self.forget_deauthorizations(write.on(), now, limit).await?;
        let hosted = self.sweep_hosted_codes(write.on(), now, limit).await?;
        let leases = self.forget_leases(write.on(), limit).await?;
        write.commit().await?;
        Ok(untaken + begun + attempts + pending + removals + hosted + leases)
    }

    /// Marks accounts that have expired, soonest first, as changes of them.
    pub(super) async fn mark_expired_accounts(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        use instagram_account::Column::{
            EventRevision, Id, NextVisitTime, Refused, Revision, ScheduledRevision, UpdateTime,
        };
        let write = self.database.begin_write().await?;
        let expired = self
            .expired_accounts(now, limit)
            .into_tuple::<(Uuid, String, String, i64)>()
            .all(write.on());
        let expired = expired.await.map_err(|error| translate(&error))?;
        let marked = without_failures(instagram_account::Entity::update_many())
            .col_expr(Refused, Expr::value(reason_name(ReauthorizationReason::TokenExpired)))
            .col_expr(UpdateTime, Expr::value(micros(now)))
            .col_expr(Revision, Expr::col(Revision).add(1))
            .col_expr(ScheduledRevision, Expr::col(Revision).add(1))
            .col_expr(EventRevision, Expr::col(Revision).add(1))
            .col_expr(NextVisitTime, Expr::value(None::<i64>))
            .filter(Id.is_in(expired.iter().map(|(id, ..)| *id)))
            .exec(write.on())
            .await;
        let marked = marked.map_err(|error| translate(&error))?.rows_affected;
        let expired =
            expired.into_iter().map(|(account_id, professional_account_id, owner, revision)| {
                let reason = ReauthorizationReason::TokenExpired;
                NewEvent {
                    account_id,
                    professional_account_id,
                    owner,
                    revision: revision + 1,
                    change: EventChange::ReauthorizationRequired(reason),
                }
            });
        self.tell(write.on(), expired).await?;
        write.commit().await?;
        Ok(marked)
    }

    /// Ids, owners and revisions of accounts that have expired and are not marked, locked. Rows that others have locked
    /// are left to a later sweep.
    pub(super) fn expired_accounts(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Select<instagram_account::Entity> {
        use instagram_account::Column::{
            Id, Owner, ProfessionalAccountId, Refused, Revision, TokenExpireTime,
        };
        self.accounts()
            .select_only()
            .columns([Id, ProfessionalAccountId, Owner, Revision])
            .filter(Refused.is_null())
            .filter(TokenExpireTime.lte(micros(now)))
            .order_by_asc(TokenExpireTime)
            .limit(limit)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
    }

    /// Ends attempts of these phases that nobody came back for.
    async fn end_stale(
        &self,
        on: &DatabaseTransaction,
        phases: &[&str],
        refusal: LinkRefusal,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let received_before = micros(now - SHORT_LIVED_LIFETIME);
        let created_before = micros(now - CODE_LIFETIME);
        let stale = Condition::any().add(Column::ReceiveTime.lte(received_before)).add(
            Condition::all()
                .add(Column::ReceiveTime.is_null())
                .add(Column::CreateTime.lte(created_before)),
        );
        let in_phase = Column::Phase.is_in(phases.iter().copied());
        let stale = Condition::all().add(in_phase).add(self.is_free()).add(stale);
        let codes = self.attempts(on, stale, limit).await?;
        let columns = ended_columns(&LinkOutcome::Refused(refusal), now);
        let ended = link_attempt::Entity::update_many()
            .set(link_attempt::ActiveModel {
                lease_holder: Set(None),
                lease_end: Set(None),
                ..columns
            })
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::CodeHash.is_in(codes))
            .exec(on)
            .await;
        Ok(ended.map_err(|error| translate(&error))?.rows_affected)
    }

    async fn forget_attempts(
        &self,
        on: &DatabaseTransaction,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let old = Condition::all()
            .add(Column::Phase.eq(ENDED))
            .add(Column::EndTime.lte(micros(now - LINK_RETENTION)));
        let codes = self.attempts(on, old, limit).await?;
        let forgotten = link_attempt::Entity::delete_many()
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::CodeHash.is_in(codes))
            .exec(on)
            .await;
        Ok(forgotten.map_err(|error| translate(&error))?.rows_affected)
    }

    async fn forget_pending_links(
        &self,
        on: &DatabaseTransaction,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        use pending_link::Column::{AppId, ExpireTime, StateHash};
        let old = pending_link::Entity::find()
            .select_only()
            .column(StateHash)
            .filter(AppId.eq(self.app.as_str()))
            .filter(ExpireTime.lte(micros(now - LINK_RETENTION)));
        let old: Vec<Vec<u8>> = locked_keys(on, old, limit).await?;
        let forgotten = pending_link::Entity::delete_many()
            .filter(AppId.eq(self.app.as_str()))
            .filter(StateHash.is_in(old))
            .exec(on)
            .await;
        Ok(forgotten.map_err(|error| translate(&error))?.rows_affected)
    }

    /// Forgets leases that have ended on accounts that are gone: nobody will claim them again.
    async fn forget_leases(&self, on: &DatabaseTransaction, limit: u64) -> Result<u64, StoreError> {
        use renewal_lease::Column::{AccountId, AppId, LeaseEnd};
        let account = Query::select()
            .expr(Expr::val(1))
            .from(instagram_account::Entity)
            .and_where(
                Expr::col((instagram_account::Entity, instagram_account::Column::Id))
                    .equals((renewal_lease::Entity, AccountId)),
            )
            .take();
        let ended = renewal_lease::Entity::find()
            .select_only()
            .column(AccountId)
            .filter(AppId.eq(self.app.as_str()))
            .filter(lease::has_ended(LeaseEnd, RENEWAL_LEASE, self.backend()))
            .filter(Expr::exists(account).not());
        let ended: Vec<Uuid> = locked_keys(on, ended, limit).await?;
        let forgotten = renewal_lease::Entity::delete_many()
            .filter(AppId.eq(self.app.as_str()))
            .filter(AccountId.is_in(ended))
            .exec(on)
            .await;
        Ok(forgotten.map_err(|error| translate(&error))?.rows_affected)
    }

    /// The keys of some of this app's attempts, locked.
    async fn attempts(
        &self,
        on: &DatabaseTransaction,
        condition: Condition,
        limit: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let keys = link_attempt::Entity::find()
            .select_only()
            .column(Column::CodeHash)
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(condition);
        locked_keys(on, keys, limit).await
    }
}

/// At most `limit` of the keys that `keys` selects, locked: neither database takes a limit where it updates or deletes.
/// Rows that others have locked are left to a later sweep, so no sweep waits or is waited for in a ring.
pub(super) async fn locked_keys<E: EntityTrait, K: TryGetableMany>(
    on: &DatabaseTransaction,
    keys: Select<E>,
    limit: u64,
) -> Result<Vec<K>, StoreError> {
    let keys = keys.limit(limit).lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    keys.into_tuple().all(on).await.map_err(|error| translate(&error))
}
