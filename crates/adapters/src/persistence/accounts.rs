//! Linked accounts, and their tokens apart from them.

use async_trait::async_trait;
use ig_domain::ports::{AccountKey, AccountPage, Accounts, StatusFilter, StoreError};
use ig_domain::{AccountId, InstagramAccount, LongLivedToken, Owner, OwnerPattern, OwnerScope};
use sea_orm::sea_query::{Condition, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, Select,
};
use time::OffsetDateTime;

use super::SeaOrmStore;
use super::account_row::{to_domain, to_row};
use super::calls::Operation;
use super::columns::micros;
use super::entity::account_token;
use super::entity::instagram_account::{Column, Entity};
use super::error::{corrupt, translate};
use super::paging::behind;
use super::tokens::{open_long_lived, seal_long_lived};

#[async_trait]
impl Accounts for SeaOrmStore {
    async fn find(&self, key: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        self.call(Operation::FindAccount, async {
            for lookup in self.lookups(key) {
                let found = lookup.one(self.database.reading()).await;
                if let Some(row) = found.map_err(|error| translate(&error))? {
                    return to_domain(row).map(Some);
                }
            }
            Ok(None)
        })
        .await
    }

    async fn find_many(
        &self,
        keys: &[AccountKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        self.call(Operation::FindAccounts, self.find_each(keys)).await
    }

    async fn list(&self, page: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        // A condition without alternatives would be true.
        if page.owners.patterns().is_empty() {
            return Ok(Vec::new());
        }
        self.call(Operation::ListAccounts, async {
            let found = self.page(page).all(self.database.reading()).await;
            found.map_err(|error| translate(&error))?.into_iter().map(to_domain).collect()
        })
        .await
    }

    async fn find_with_token(
        &self,
        id: AccountId,
    ) -> Result<Option<(InstagramAccount, LongLivedToken)>, StoreError> {
        self.call(Operation::FindToken, async {
            let joined = self.identified(id).find_also_related(account_token::Entity);
            let found = joined.one(self.database.reading()).await;
            let Some((account, token)) = found.map_err(|error| translate(&error))? else {
                return Ok(None);
            };
            let token = token.ok_or_else(|| corrupt("account_token", "no row"))?;
            Ok(Some((to_domain(account)?, open_long_lived(&*self.cipher, &token)?)))
        })
        .await
    }

    async fn update(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        token: Option<LongLivedToken>,
    ) -> Result<(), StoreError> {
        self.call(Operation::UpdateAccount, async {
            let write = self.database.begin_write().await?;
            self.replace_account(write.on(), account, former_revision).await?;
            if let Some(token) = token {
                self.put_token(write.on(), account, &token).await?;
            }
            write.commit().await
        })
        .await
    }

    async fn remove(&self, id: AccountId, revision: i64) -> Result<(), StoreError> {
        self.call(Operation::RemoveAccount, async {
            let write = self.database.begin_write().await?;
            self.delete_account(write.on(), id, revision).await?;
            write.commit().await
        })
        .await
    }
}

impl SeaOrmStore {
    /// The accounts of this app.
    fn accounts(&self) -> Select<Entity> {
        Entity::find().filter(Column::AppId.eq(self.app.as_str()))
    }

    fn identified(&self, id: AccountId) -> Select<Entity> {
        self.accounts().filter(Column::Id.eq(*id.as_uuid()))
    }

    /// The queries that find an account; the first that does decides. Each goes by an index of its own: one
    /// query for all ids may be planned as a walk through all accounts.
    fn lookups(&self, key: &AccountKey) -> Vec<Select<Entity>> {
        match key {
            AccountKey::Id(id) => vec![self.identified(*id)],
            AccountKey::Instagram(id) => {
                use Column::{AppScopedUserId, ExchangeUserId, ProfessionalAccountId};
                let newest = |column: Column| {
                    self.accounts().filter(column.eq(id.as_str())).order_by_desc(Column::Id)
                };
                let columns = [ProfessionalAccountId, AppScopedUserId, ExchangeUserId];
                columns.map(|column| newest(column).limit(1)).into()
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

    fn page(&self, page: &AccountPage) -> Select<Entity> {
        let AccountPage { owners, status, now, after, limit } = page;
        let mut accounts = self.accounts();
        if *owners != OwnerScope::everyone() {
            accounts = accounts.filter(owned_by(owners));
        }
        if let Some(status) = status {
            accounts = accounts.filter(has_status(*status, *now));
        }
        if let Some((link_time, id)) = after {
            let place = behind((Column::LinkTime, *link_time), (Column::Id, *id.as_uuid()));
            accounts = accounts.filter(place);
        }
        accounts.order_by_desc(Column::LinkTime).order_by_desc(Column::Id).limit(*limit)
    }

    /// Stores a new account.
    pub(super) async fn insert_account(
        &self,
        on: &DatabaseTransaction,
        account: &InstagramAccount,
    ) -> Result<(), StoreError> {
        let row = to_row(&self.app, account).into_active_model().reset_all();
        let inserted = Entity::insert(row).exec_without_returning(on).await;
        inserted.map(drop).map_err(|error| translate(&error))
    }

    /// Stores a changed account if it is still as it was read.
    pub(super) async fn replace_account(
        &self,
        on: &DatabaseTransaction,
        account: &InstagramAccount,
        former_revision: i64,
    ) -> Result<(), StoreError> {
        let updated = Entity::update_many()
            .set(to_row(&self.app, account).into_active_model().reset_all())
            .filter(self.read_as(account.id, former_revision))
            .exec(on)
            .await
            .map_err(|error| translate(&error))?;
        if updated.rows_affected == 0 { Err(StoreError::Conflict) } else { Ok(()) }
    }

    /// Forgets an account if it is still as it was read; its token goes with it.
    pub(super) async fn delete_account(
        &self,
        on: &DatabaseTransaction,
        id: AccountId,
        revision: i64,
    ) -> Result<(), StoreError> {
        let deletion = Entity::delete_many().filter(self.read_as(id, revision));
        let deleted = deletion.exec(on).await.map_err(|error| translate(&error))?;
        if deleted.rows_affected == 0 { Err(StoreError::Conflict) } else { Ok(()) }
    }

    /// Stores an account's token in place of the one it had.
    pub(super) async fn put_token(
        &self,
        on: &DatabaseTransaction,
        account: &InstagramAccount,
        token: &LongLivedToken,
    ) -> Result<(), StoreError> {
        use account_token::Column::{AccountId, IssueTime, KeyId, SealedToken};
        let issue_time = micros(account.token_issue_time);
        let row = seal_long_lived(&*self.cipher, account.id, token, issue_time)?;
        let replacing = OnConflict::column(AccountId)
            .update_columns([SealedToken, KeyId, IssueTime])
            .to_owned();
        let put = account_token::Entity::insert(row.into_active_model().reset_all())
            .on_conflict(replacing)
            .exec_without_returning(on)
            .await;
        put.map(drop).map_err(|error| translate(&error))
    }

    fn read_as(&self, id: AccountId, revision: i64) -> Condition {
        Condition::all()
            .add(Column::Id.eq(*id.as_uuid()))
            .add(Column::AppId.eq(self.app.as_str()))
            .add(Column::Revision.eq(revision))
    }
}

/// Accounts whose owner is within `owners`. A prefix is a range of the index, which goes by code points.
fn owned_by(owners: &OwnerScope) -> Condition {
    owners.patterns().iter().fold(Condition::any(), |any, pattern| match pattern {
        OwnerPattern::Exact(owner) => any.add(Column::Owner.eq(owner.as_str())),
        OwnerPattern::Prefix(prefix) => {
            let last = prefix.as_str().to_owned() + &char::MAX.to_string().repeat(Owner::LONGEST);
            any.add(Column::Owner.between(prefix.as_str(), last.as_str()))
        }
    })
}

fn has_status(status: StatusFilter, now: OffsetDateTime) -> Condition {
    let now = micros(now);
    match status {
        StatusFilter::Active => {
            Condition::all().add(Column::Refused.is_null()).add(Column::TokenExpireTime.gt(now))
        }
        StatusFilter::ReauthorizationRequired => Condition::any()
            .add(Column::Refused.is_not_null())
            .add(Column::TokenExpireTime.lte(now)),
    }
}

#[cfg(test)]
mod tests;
