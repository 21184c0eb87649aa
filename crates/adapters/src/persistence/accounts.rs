//! Linked accounts, and their tokens apart from them.

use std::collections::HashMap;

use async_trait::async_trait;
use ig_domain::ports::{
    AccountKey, AccountPage, AccountReader, AccountWriter, BatchKey, CompletedImport, ImportEnded,
    StoreError,
};
use ig_domain::{
    AccountEvent, AccountId, EventChange, InstagramAccount, LeaseHolder, LongLivedToken,
    UnlinkCause,
};
use sea_orm::sea_query::{
    Asterisk, Condition, Expr, ExprTrait as _, OnConflict, Order, Query, SelectStatement, UnionType,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait as _, DatabaseTransaction, EntityTrait,
    FromQueryResult, IdenStatic as _, IntoActiveModel, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, Select, SelectA, SelectB, TryGetable,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::SeaOrmStore;
use super::account_row::{to_domain, to_row};
use super::columns::micros;
use super::entity::account_token;
use super::entity::instagram_account::{Column, Entity, Model};
use super::error::translate;
use super::events::NewEvent;
use super::gathered_reads::{Answer, WithToken};
use super::held_connection::HeldConnection;
use super::store_meter::Operation;
use super::tokens::{open_long_lived, seal_long_lived};
use super::unreadable::{Table, readable_page};
use super::user_key::UserKey;

/// Makes the event of a change from one version of an account to the next; none where it is worth none.
pub(super) type EventOf = fn(&InstagramAccount, &InstagramAccount) -> Option<AccountEvent>;

#[async_trait]
impl AccountReader for SeaOrmStore {
    async fn find(&self, key: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        let key = match key {
            AccountKey::Id(id) => BatchKey::Id(*id),
            AccountKey::Instagram(id) => BatchKey::Instagram(id.clone()),
            AccountKey::Username(_) => {
                let find = async {
                    let mut connection = self.database.hold_connection().await?;
                    self.find_alone(&mut connection, key).await?
                };
                return self.call(Operation::FindAccount, find).await;
            }
        };
        self.call(Operation::FindAccount, self.find_gathered(key)).await
    }

    async fn find_many(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        let (store, keys) = (self.clone(), keys.to_owned());
        self.bulk_read(Operation::FindAccounts, async move { store.find_each(&keys).await }).await
    }

    async fn find_by_ids(
        &self,
        ids: &[AccountId],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        let keys: Vec<_> = ids.iter().copied().map(BatchKey::Id).collect();
        self.call(Operation::FindAccounts, self.find_each(&keys)).await
    }

    async fn list(&self, page: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        let (store, page) = (self.clone(), page.clone());
        self.bulk_read(Operation::ListAccounts, async move {
            let read = async |limit| store.read_page(&AccountPage { limit, ..page.clone() }).await;
            let rows = readable_page(Table::Account, page.limit, read).await?;
            Ok(store.meter.unreadable.leave_out(rows))
        })
        .await
    }

    async fn find_with_token(
        &self,
        id: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError> {
        self.call(Operation::FindToken, self.find_gathered(id)).await
    }
}

#[async_trait]
impl AccountWriter for SeaOrmStore {
    async fn update(
        &self,
        account: &InstagramAccount,
        former: &InstagramAccount,
        token: Option<LongLivedToken>,
    ) -> Result<(), StoreError> {
        self.call(Operation::UpdateAccount, async {
            let write = self.database.begin_write().await?;
            let as_read = self.unchanged(former);
            self.replace_where(write.on(), account, as_read, AccountEvent::between).await?;
            if let Some(token) = token {
                self.put_token(write.on(), account.id, &token).await?;
            }
            write.commit().await
        })
        .await
    }

    async fn import(&self, import: &CompletedImport) -> Result<ImportEnded, StoreError> {
        self.call(Operation::ImportAccount, self.import_account(import)).await
    }

    async fn mark_refused(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        holder: LeaseHolder,
    ) -> Result<(), StoreError> {
        self.call(Operation::UpdateAccount, async {
            let write = self.database.begin_write().await?;
            self.extend_renewal(write.on(), account.id, holder).await?;
            let as_read = self
                .read_as(account.id, former_revision)
                .add(Column::ProfileTime.eq(micros(account.profile_time)));
            self.replace_where(write.on(), account, as_read, AccountEvent::between).await?;
            write.commit().await
        })
        .await
    }

    async fn remove(&self, id: AccountId, revision: i64) -> Result<(), StoreError> {
        self.call(Operation::RemoveAccount, async {
            let key = self.readable_user_key().await?;
            let write = self.database.begin_write().await?;
            let change = EventChange::Unlinked(UnlinkCause::Unlink);
            self.delete_account(write.on(), (id, revision), change, key).await?;
            write.commit().await?;
            self.database.note_erased();
            Ok(())
        })
        .await
    }

    async fn mark_expired(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.call(Operation::MarkExpired, self.mark_expired_accounts(now, limit)).await
    }
}

impl SeaOrmStore {
    /// The statement that finds the account with this key.
    pub(super) fn lookup(&self, key: &AccountKey) -> SelectStatement {
        first_found(self.lookups(key))
    }

    /// For each of `ids` the account and its token.
    pub(super) async fn find_with_tokens(
        &self,
        connection: &mut HeldConnection,
        ids: &[AccountId],
    ) -> Result<Vec<Answer<WithToken>>, StoreError> {
        let values = ids.iter().map(|id| (*id.as_uuid()).into()).collect();
        let Some(query) = self.any_of(Column::Id, values) else { return Ok(Vec::new()) };
        let joined = query.find_also_related(account_token::Entity);
        let rows = connection.read(&joined.into_query()).await?;
        let mut found = HashMap::new();
        for row in &rows {
            let id = row.try_get::<Uuid>(SelectA.as_str(), Column::Id.as_str());
            let id = id.map_err(|error| translate(&error))?;
            found.insert(AccountId::from_uuid(id), row);
        }
        ids.iter()
            .map(|id| match found.get(id).map(|row| self.with_token(row)).transpose() {
                Err(error) if !matches!(error, StoreError::Corrupt(_)) => Err(error),
                answer => Ok(answer),
            })
            .collect()
    }

    /// The accounts of this app.
    pub(super) fn accounts(&self) -> Select<Entity> {
        Entity::find().filter(Column::AppId.eq(self.app.as_str()))
    }

    /// The accounts of this app among those of some ids.
    pub(super) fn identified_each(&self, ids: impl IntoIterator<Item = Uuid>) -> Select<Entity> {
        Entity::find().filter(Column::Id.is_in(ids)).filter(self.is_own())
    }

    /// Whether an account is this app's, where its id is known. No index goes by this: SQLite would take one for more
    /// than a few ids, and walk through all accounts of the app.
    pub(super) fn is_own(&self) -> Expr {
        Column::AppId.into_expr().cast_as("text").eq(self.app.as_str())
    }

    fn identified(&self, id: AccountId) -> Select<Entity> {
        self.accounts().filter(Column::Id.eq(*id.as_uuid()))
    }

    /// The queries that find an account, the one that decides first, and of several accounts of one the newest. Each goes
    /// by an index of its own: a condition with alternatives may be planned as a walk through all accounts.
    fn lookups(&self, key: &AccountKey) -> Vec<Select<Entity>> {
        match key {
            AccountKey::Id(id) => vec![self.identified(*id)],
            AccountKey::Instagram(id) => {
                use Column::{AppScopedUserId, ExchangeUserId, ProfessionalAccountId};
                let known_as = |column: Column| self.accounts().filter(column.eq(id.as_str()));
                [ProfessionalAccountId, AppScopedUserId, ExchangeUserId].map(known_as).into()
            }
            AccountKey::Username(username) => vec![
                self.accounts()
                    .filter(Column::Username.eq(username.as_str()))
                    .order_by_desc(Column::ProfileTime)
                    .order_by_desc(Column::Id)
                    .limit(1),
            ],
        }
    }

    /// The account and the token of a row of both.
    pub(super) fn with_token(
        &self,
        row: &QueryResult,
    ) -> Result<(InstagramAccount, Option<LongLivedToken>), StoreError> {
        let account = Model::from_query_result(row, SelectA.as_str());
        let account = account.map_err(|error| translate(&error))?;
        let token = account_token::Model::from_query_result_optional(row, SelectB.as_str());
        let token = token.map_err(|error| translate(&error))?;
        let token = token.map(|token| open_long_lived(&*self.cipher, &token)).transpose()?;
        Ok((to_domain(account)?, token))
    }

    /// Stores a changed account if it still has the revision that was read.
    pub(super) async fn replace_account(
        &self,
        on: &DatabaseTransaction,
        account: &InstagramAccount,
        former_revision: i64,
    ) -> Result<(), StoreError> {
        let as_read = self.read_as(account.id, former_revision);
        self.replace_where(on, account, as_read, AccountEvent::between).await
    }

    pub(super) async fn replace_where(
        &self,
        on: &DatabaseTransaction,
        account: &InstagramAccount,
        as_read: Condition,
        event: EventOf,
    ) -> Result<(), StoreError> {
        // Locked, so that the event tells of this very change.
        let former = Entity::find().filter(as_read.clone()).lock_exclusive().one(on).await;
        let former = former.map_err(|error| translate(&error))?.ok_or(StoreError::Conflict)?;
        let former = to_domain(former)?;
        let updated = Entity::update_many()
            .set(self.row(account).into_active_model().reset_all())
            .filter(as_read)
            .exec(on)
            .await
            .map_err(|error| translate(&error))?;
        if updated.rows_affected == 0 {
            return Err(StoreError::Conflict);
        }
        self.tell(on, event(&former, account)).await
    }

    /// Forgets an account if it is still as it was read; its token goes with it. With the key of persons it leaves the
    /// hashes of its person.
    pub(super) async fn delete_account(
        &self,
        on: &DatabaseTransaction,
        (id, revision): (AccountId, i64),
        change: EventChange,
        key: Option<&UserKey>,
    ) -> Result<(), StoreError> {
        use Column::{AppScopedUserId, ConsentTime, ExchangeUserId, Owner, ProfessionalAccountId};
        let columns = [ProfessionalAccountId, Owner, AppScopedUserId, ExchangeUserId, ConsentTime];
        // Says that the event of the deletion is written here, and locks the row until then.
        let marking = Query::update()
            .table(Entity)
            .value(Column::EventRevision, revision + 1)
            .cond_where(self.read_as(id, revision))
            .returning(Query::returning().columns(columns))
            .take();
        let marked = on.query_one(&marking).await.map_err(|error| translate(&error))?;
        let marked = marked.ok_or(StoreError::Conflict)?;
        let event = NewEvent {
            account_id: *id.as_uuid(),
            professional_account_id: value(&marked, ProfessionalAccountId)?,
            owner: value(&marked, Owner)?,
            revision: revision + 1,
            change,
        };
        self.tell(on, [event]).await?;
        if let Some(key) = key {
            let users: [Option<String>; 2] =
                [value(&marked, AppScopedUserId)?, value(&marked, ExchangeUserId)?];
            let (users, consent_time) = (users.into_iter().flatten(), value(&marked, ConsentTime)?);
            self.leave_former_account(on, id, users, consent_time, key).await?;
        }
        let deletion = Entity::delete_many().filter(self.read_as(id, revision));
        deletion.exec(on).await.map(drop).map_err(|error| translate(&error))
    }

    /// Stores an account's token in place of the one it had.
    pub(super) async fn put_token(
        &self,
        on: &DatabaseTransaction,
        id: AccountId,
        token: &LongLivedToken,
    ) -> Result<(), StoreError> {
        self.put_tokens(on, [(id, token)]).await
    }

    /// Stores tokens in place of those that the accounts had: at least one.
    pub(super) async fn put_tokens<'a>(
        &self,
        on: &DatabaseTransaction,
        tokens: impl IntoIterator<Item = (AccountId, &'a LongLivedToken)>,
    ) -> Result<(), StoreError> {
        use account_token::Column::{KeyId, SealedToken};
        let seal = |(id, token)| Ok(seal_long_lived(&*self.cipher, id, token)?.into_active_model());
        let rows = tokens.into_iter().map(seal).collect::<Result<Vec<_>, StoreError>>()?;
        let rows = rows.into_iter().map(ActiveModelTrait::reset_all);
        let replacing = OnConflict::column(account_token::Column::AccountId)
            .update_columns([SealedToken, KeyId])
            .to_owned();
        let put = account_token::Entity::insert_many(rows)
            .on_conflict(replacing)
            .exec_without_returning(on)
            .await;
        put.map(drop).map_err(|error| translate(&error))
    }

    /// The row of `account`, with its schedule.
    pub(super) fn row(&self, account: &InstagramAccount) -> Model {
        to_row(&self.app, account, &self.plan)
    }

    /// The account if it is still as `former`: its revision counts neither readings nor retries.
    fn unchanged(&self, former: &InstagramAccount) -> Condition {
        let retry_time = former.failures.retry_time.map(micros);
        self.read_as(former.id, former.revision)
            .add(Column::ProfileTime.eq(micros(former.profile_time)))
            .add(retry_time.map_or(Column::RetryTime.is_null(), |time| Column::RetryTime.eq(time)))
    }

    pub(super) fn read_as(&self, id: AccountId, revision: i64) -> Condition {
        Condition::all()
            .add(Column::Id.eq(*id.as_uuid()))
            .add(Column::AppId.eq(self.app.as_str()))
            .add(Column::Revision.eq(revision))
    }
}

fn value<T: TryGetable>(row: &QueryResult, column: Column) -> Result<T, StoreError> {
    row.try_get("", column.as_str()).map_err(|error| translate(&error))
}

/// One statement, and so one round trip, whose first row is what the first of `lookups` finds, else the next.
///
/// The few accounts that several lookups find are all read: SQLite prepares a statement anew whenever a limit is bound.
fn first_found(lookups: Vec<Select<Entity>>) -> SelectStatement {
    let ranked = (0_i32..).zip(lookups).map(|(rank, lookup)| {
        Query::select()
            .column(Asterisk)
            .expr_as(Expr::value(rank), "rank")
            .from_subquery(lookup.into_query(), "found")
            .take()
    });
    let mut ranked = ranked.collect::<Vec<_>>().into_iter();
    let mut first = ranked.next().unwrap_or_default();
    if ranked.len() > 0 {
        first.unions(ranked.map(|lookup| (UnionType::All, lookup)));
        first.order_by("rank", Order::Asc).order_by(Column::Id, Order::Desc);
    }
    first
}

#[cfg(test)]
mod tests;
