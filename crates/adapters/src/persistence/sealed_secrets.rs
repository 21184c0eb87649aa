//! Secrets by the key that they are sealed under, page by page, and their replacement by the same ones under another key.

mod rows;

use std::collections::HashSet;

use async_trait::async_trait;
use ig_domain::ports::{
    PayloadKey, SealedKind, SealedPlace, SealedSecret, SealedSecrets, StoreError,
};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Func, SelectStatement};
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, FromQueryResult as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
};
use uuid::Uuid;

use self::rows::PayloadHeadRow;
use super::SeaOrmStore;
use super::entity::account_event::{self, SEALED_PAYLOAD};
use super::entity::{account_token, hosted_code, link_attempt, user_key};
use super::error::{corrupt, translate};
use super::paging::unindexed;
use super::store_meter::Operation;
use super::sweep::locked_keys;
use crate::sealing::{MAX_HEAD_BYTES, key_id};

#[async_trait]
impl SealedSecrets for SeaOrmStore {
    async fn under_other_keys(
        &self,
        kind: SealedKind,
        newest: &str,
        after: Option<SealedPlace>,
        limit: u64,
    ) -> Result<Vec<SealedSecret>, StoreError> {
        self.call(Operation::RotateKeys, self.secrets(kind, Some(newest), after, limit)).await
    }

    async fn replace(
        &self,
        kind: SealedKind,
        resealed: &[(SealedSecret, Vec<u8>)],
    ) -> Result<u64, StoreError> {
        self.call(Operation::RotateKeys, async {
            let write = self.database.begin_write().await?;
            // Who changes one of them holds it, and may wait for another one.
            let rows = resealed.iter().map(|(secret, _)| secret.context.row.clone());
            let locked = self.locked_rows(write.on(), kind, rows.collect()).await?;
            let mut replaced = 0;
            for (secret, sealed) in resealed {
                if locked.contains(&secret.context.row) {
                    replaced += self.replace_one(write.on(), kind, secret, sealed).await?;
                }
            }
            write.commit().await?;
            Ok(replaced)
        })
        .await
    }

    async fn places(
        &self,
        kind: SealedKind,
        after: Option<SealedPlace>,
        limit: u64,
    ) -> Result<Vec<SealedPlace>, StoreError> {
        self.call(Operation::RotateKeys, async {
            if kind == SealedKind::Token {
                return self.token_places(after.as_ref(), limit).await;
            }
            let secrets = self.secrets(kind, None, after, limit).await?;
            Ok(secrets.iter().map(SealedSecret::place).collect())
        })
        .await
    }

    async fn payload_keys(
        &self,
        after: Option<i64>,
        limit: u64,
    ) -> Result<Vec<PayloadKey>, StoreError> {
        self.call(Operation::RotateKeys, async {
            let rows = self.database.read(&self.payload_heads(after, limit)).await?;
            let rows = rows.iter().map(|row| PayloadHeadRow::from_query_result(row, ""));
            let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|error| translate(&error))?;
            rows.into_iter().map(PayloadHeadRow::into_key).collect()
        })
        .await
    }
}

impl SeaOrmStore {
    /// The rows of these that nobody else has locked, locked.
    async fn locked_rows(
        &self,
        on: &DatabaseTransaction,
        kind: SealedKind,
        rows: Vec<Vec<u8>>,
    ) -> Result<HashSet<Vec<u8>>, StoreError> {
        let limit = rows.len() as u64;
        let app = self.app.as_str();
        let locked: Vec<Vec<u8>> = match kind {
            SealedKind::UserKey => {
                use user_key::Column::AppId;
                let own = user_key::Entity::find().select_only().column(AppId);
                let locked = locked_keys(on, own.filter(AppId.eq(app)), limit).await?;
                locked.into_iter().map(String::into_bytes).collect()
            }
            SealedKind::Token => {
                use account_token::Column::AccountId;
                let ids = rows.iter().map(|row| account_id(row)).collect::<Result<Vec<_>, _>>()?;
                let own = account_token::Entity::find().select_only().column(AccountId);
                let locked = locked_keys(on, own.filter(AccountId.is_in(ids)), limit).await?;
                locked.into_iter().map(|id: Uuid| id.as_bytes().to_vec()).collect()
            }
            SealedKind::ShortLivedToken => {
                use link_attempt::Column::{AppId, CodeHash};
                let own = link_attempt::Entity::find().select_only().column(CodeHash);
                let own = own.filter(AppId.eq(app)).filter(CodeHash.is_in(rows));
                locked_keys(on, own, limit).await?
            }
            SealedKind::HostedCode => {
                use hosted_code::Column::{AppId, CodeHash};
                let own = hosted_code::Entity::find().select_only().column(CodeHash);
                let own = own.filter(AppId.eq(app)).filter(CodeHash.is_in(rows));
                locked_keys(on, own, limit).await?
            }
        };
        Ok(locked.into_iter().collect())
    }

    /// Replaces a secret that is still as it was read. Returns how many.
    async fn replace_one(
        &self,
        on: &DatabaseTransaction,
        kind: SealedKind,
        secret: &SealedSecret,
        sealed: &[u8],
    ) -> Result<u64, StoreError> {
        let (row, former, sealed) = (&secret.context.row, &*secret.sealed, sealed.to_vec());
        let replaced = match kind {
            SealedKind::UserKey => self.replaced_user_key(former, sealed).exec(on).await,
            SealedKind::Token => {
                use account_token::Column::{AccountId, SealedToken};
                let key_id = key_id(&sealed).ok_or_else(|| corrupt("sealed_token", "no key"))?;
                let token = account_token::ActiveModel {
                    key_id: Set(key_id.to_owned()),
                    sealed_token: Set(sealed),
                    ..Default::default()
                };
                let replaced = account_token::Entity::update_many().set(token);
                let replaced = replaced.filter(AccountId.eq(account_id(row)?));
                replaced.filter(SealedToken.eq(former)).exec(on).await
            }
            SealedKind::ShortLivedToken => {
                use link_attempt::Column::{AppId, CodeHash, SealedToken};
                let token = link_attempt::ActiveModel {
                    sealed_token: Set(Some(sealed)),
                    ..Default::default()
                };
                let replaced = link_attempt::Entity::update_many().set(token);
                let replaced = replaced.filter(AppId.eq(self.app.as_str()));
                let replaced = replaced.filter(CodeHash.eq(&**row));
                replaced.filter(SealedToken.eq(former)).exec(on).await
            }
            SealedKind::HostedCode => {
                use hosted_code::Column::{AppId, CodeHash, SealedCode};
                let code = hosted_code::ActiveModel {
                    sealed_code: Set(Some(sealed)),
                    ..Default::default()
                };
                let replaced = hosted_code::Entity::update_many().set(code);
                let replaced = replaced.filter(AppId.eq(self.app.as_str()));
                let replaced = replaced.filter(CodeHash.eq(&**row));
                replaced.filter(SealedCode.eq(former)).exec(on).await
            }
        };
        Ok(replaced.map_err(|error| translate(&error))?.rows_affected)
    }

    /// The beginnings of payloads, up to the ids of their keys.
    pub(super) fn payload_heads(&self, after: Option<i64>, limit: u64) -> SelectStatement {
        use account_event::Column::{AppId, EventTime, Id};
        let payload = || Expr::col(Alias::new(SEALED_PAYLOAD));
        let bytes = i32::try_from(MAX_HEAD_BYTES).unwrap_or(i32::MAX);
        let head = Func::cust("substr").args([payload(), Expr::value(1), Expr::value(bytes)]);
        account_event::Entity::find()
            .select_only()
            .columns([Id, EventTime])
            .expr_as(head, "head")
            .filter(unindexed(AppId).eq(self.app.as_str()))
            .filter(Id.gt(after.unwrap_or(i64::MIN)))
            .filter(payload().is_not_null())
            .order_by_asc(Id)
            .limit(limit)
            .into_query()
    }
}

/// The account whose token has this row.
pub(super) fn account_id(row: &[u8]) -> Result<Uuid, StoreError> {
    Uuid::from_slice(row).map_err(|error| corrupt("account_id", error))
}

#[cfg(test)]
mod tests;
