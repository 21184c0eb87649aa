//! Removals of persons: tokens that are destroyed, and what keeps a link of an older consent out.

use std::collections::BTreeSet;

use async_trait::async_trait;
use ig_domain::ports::{StoreError, UserRemovals};
use ig_domain::{AccountId, InstagramAccount, LINK_RETENTION, RemovalOutcome, SignedRequest};
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, OnConflict, SelectStatement, UnionType};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction,
    EntityTrait as _, IdenStatic as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _, Select,
};
use time::OffsetDateTime;
use tracing::warn;

use super::SeaOrmStore;
use super::account_row::to_domain;
use super::columns::micros;
use super::entity::user_removal::{Column, Entity, Model};
use super::entity::{account_token, instagram_account};
use super::error::translate;
use super::store_meter::Operation;
use super::sweep::locked_keys;

/// Kind of a removal whose tokens are destroyed.
pub(super) const DEAUTHORIZATION: &str = "deauthorization";

/// Kind of a removal that deletes the person's data.
pub(super) const DELETION: &str = "deletion";

/// State of a removal that is over.
const DONE: &str = "done";

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;

#[async_trait]
impl UserRemovals for SeaOrmStore {
    async fn deauthorize(
        &self,
        request: &SignedRequest,
        now: OffsetDateTime,
    ) -> Result<RemovalOutcome, StoreError> {
        let deauthorized = Box::pin(async {
            let hash = self.user_key().await?.hash(request.user.as_str())?;
            let write = self.database.begin_write().await?;
            self.lock_users(write.on(), &[hash]).await?;
            self.keep_deauthorization(write.on(), hash, request, now).await?;
            let (mut removed, mut kept) = (Vec::new(), Vec::new());
            let rows = self.accounts_of(request.user.as_str()).all(write.on()).await;
            for row in rows.map_err(|error| translate(&error))? {
                let id = AccountId::from_uuid(row.id);
                if seconds(row.consent_time) > request.issue_time.unix_timestamp() {
                    kept.push(id);
                    continue;
                }
                self.destroy_token(write.on(), id).await?;
                self.mark_deauthorized(write.on(), row, now).await?;
                removed.push(id);
            }
            self.make_accounts_due(write.on(), &kept, now, self.plan.reading_interval).await?;
            write.commit().await?;
            self.database.note_erased();
            Ok(RemovalOutcome::of(removed, kept))
        });
        self.call(Operation::Deauthorize, deauthorized).await
    }
}

impl SeaOrmStore {
    /// Keeps the request, by which links under way find it.
    async fn keep_deauthorization(
        &self,
        on: &DatabaseTransaction,
        hash: [u8; 32],
        request: &SignedRequest,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let row = Model {
            app_id: self.app.as_str().to_owned(),
            kind: DEAUTHORIZATION.to_owned(),
            user_hash: hash.to_vec(),
            issue_time: micros(request.issue_time),
            code: None,
            state: DONE.to_owned(),
            request_time: micros(now),
            end_time: Some(micros(now)),
        };
        let primary_key = [Column::AppId, Column::Kind, Column::UserHash, Column::IssueTime];
        let kept = Entity::insert(row.into_active_model().reset_all())
            .on_conflict(OnConflict::columns(primary_key).do_nothing().to_owned())
            .exec_without_returning(on)
            .await;
        kept.map(drop).map_err(|error| translate(&error))
    }

    /// A person's accounts, locked in the order of their ids.
    pub(super) fn accounts_of(&self, user: &str) -> Select<instagram_account::Entity> {
        instagram_account::Entity::find()
            .filter(instagram_account::Column::Id.in_subquery(self.account_ids_of(user)))
            .filter(self.is_own())
            .order_by_asc(instagram_account::Column::Id)
            .lock_exclusive()
    }

    /// Ids of a person's accounts. Each look goes by an index of its own, as those of the reader do.
    fn account_ids_of(&self, user: &str) -> SelectStatement {
        use instagram_account::Column::{AppScopedUserId, ExchangeUserId, Id};
        let known_as = |column: instagram_account::Column| {
            self.accounts().select_only().column(Id).filter(column.eq(user)).into_query()
        };
        let mut ids = known_as(AppScopedUserId);
        ids.union(UnionType::Distinct, known_as(ExchangeUserId)).take()
    }

    /// Ids under which the person of this id is known.
    pub(super) async fn ids_of_person(
        &self,
        on: &DatabaseTransaction,
        user: &str,
    ) -> Result<BTreeSet<String>, StoreError> {
        use instagram_account::Column::{AppScopedUserId, ExchangeUserId, Id};
        let known = instagram_account::Entity::find()
            .select_only()
            .columns([AppScopedUserId, ExchangeUserId])
            .filter(Id.in_subquery(self.account_ids_of(user)))
            .filter(self.is_own())
            .into_tuple::<(Option<String>, Option<String>)>()
            .all(on)
            .await;
        let known = known.map_err(|error| translate(&error))?.into_iter();
        let known = known.flat_map(|(app_scoped, exchange)| [app_scoped, exchange]).flatten();
        Ok(known.chain([user.to_owned()]).collect())
    }

    async fn destroy_token(
        &self,
        on: &DatabaseTransaction,
        id: AccountId,
    ) -> Result<(), StoreError> {
        let destroyed = account_token::Entity::delete_by_id(*id.as_uuid()).exec(on).await;
        destroyed.map(drop).map_err(|error| translate(&error))
    }

    /// Marks an account as deauthorised, with its event. One that cannot be read stays as it is.
    async fn mark_deauthorized(
        &self,
        on: &DatabaseTransaction,
        row: instagram_account::Model,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let id = row.id;
        match to_domain(row) {
            Ok(account) => match account.deauthorized(now) {
                Some(marked) => self.replace_account(on, &marked, account.revision).await,
                None => Ok(()),
            },
            Err(error) => {
                warn!(%error, account.id = %id, "the token of an account that cannot be read was destroyed, since its person removed the app");
                Ok(())
            }
        }
    }

    /// Hashes of the ids of an account's person; `None` where the key of the hashes does not open.
    pub(super) async fn user_hashes(
        &self,
        account: &InstagramAccount,
    ) -> Result<Option<Vec<[u8; 32]>>, StoreError> {
        let key = match self.user_key().await {
            Err(StoreError::Corrupt(_)) => return Ok(None),
            key => key?,
        };
        let users = account.app_scoped_user_id.iter().chain(&account.exchange_user_id);
        users.map(|user| key.hash(user.as_str())).collect::<Result<_, _>>().map(Some)
    }

    /// Kind of a removal of one of these persons that was issued in the second of `since`, a moment in microseconds, or
    /// later: a deletion where there is one. They are to be locked. Where they are not known, anybody's removal counts:
    /// it must be possible to consent again once a sealing key is lost.
    pub(super) async fn removal_since(
        &self,
        on: &DatabaseTransaction,
        users: Option<Vec<[u8; 32]>>,
        since: Expr,
    ) -> Result<Option<String>, StoreError> {
        if users.as_ref().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        let found = on.query_one(&self.removals_since(users, since)).await;
        let found = found.map_err(|error| translate(&error))?;
        let kind = found.map(|row| row.try_get("", Column::Kind.as_str())).transpose();
        kind.map_err(|error| translate(&error))
    }

    fn removals_since(&self, users: Option<Vec<[u8; 32]>>, since: Expr) -> SelectStatement {
        let of_users = users.map(|users| Column::UserHash.is_in(users.into_iter().map(Vec::from)));
        Entity::find()
            .select_only()
            .column(Column::Kind)
            .filter(Column::AppId.eq(self.app.as_str()))
            // Named so that the primary key leads to a person's few.
            .filter(Column::Kind.is_in([DEAUTHORIZATION, DELETION]))
            .filter(Condition::all().add_option(of_users))
            // Requests name whole seconds.
            .filter(Expr::col((Entity, Column::IssueTime)).gt(since.sub(MICROS_PER_SECOND)))
            .order_by_desc(Column::Kind)
            .limit(1)
            .into_query()
    }

    /// Forgets deauthorisations that no link under way can be older than.
    pub(super) async fn forget_deauthorizations(
        &self,
        on: &DatabaseTransaction,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let old = Entity::find()
            .select_only()
            .columns([Column::UserHash, Column::IssueTime])
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::Kind.eq(DEAUTHORIZATION))
            .filter(Column::RequestTime.lte(micros(now - LINK_RETENTION)));
        let old: Vec<(Vec<u8>, i64)> = locked_keys(on, old, limit).await?;
        if old.is_empty() {
            return Ok(0);
        }
        let key = Expr::tuple([Expr::col(Column::UserHash), Expr::col(Column::IssueTime)]);
        let forgotten = Entity::delete_many()
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::Kind.eq(DEAUTHORIZATION))
            .filter(key.in_tuples(old))
            .exec(on)
            .await;
        Ok(forgotten.map_err(|error| translate(&error))?.rows_affected)
    }
}

/// Whole seconds of a moment in microseconds.
pub(super) fn seconds(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_SECOND)
}

#[cfg(test)]
mod tests;
