//! Check values of sealing keys, and what is sealed under a key.

use std::collections::BTreeSet;

use async_trait::async_trait;
use ig_domain::ports::{KeyChecks, SealContext, StoreError};
use ig_domain::{AccountId, CodeHash};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, FromQueryResult, IntoActiveModel, JoinType,
    QueryFilter, QuerySelect, QueryTrait as _, RelationTrait,
};
use uuid::Uuid;

use super::SeaOrmStore;
use super::attempt_row::EXCHANGED;
use super::columns::hash;
use super::entity::sealing_key::{Column, Entity, Model};
use super::entity::{account_token, hosted_code, instagram_account, link_attempt};
use super::error::{corrupt, translate};
use super::hosted_codes::of_hosted_code;
use super::store_meter::Operation;
use super::tokens::{of_account, of_attempt};
use super::unreadable::{Row, Table, readable_page};
use crate::sealing::key_id as key_id_of;

/// Maximum number of short-lived tokens, and of codes, that are looked at; there are seldom more than links under way.
const MAX_ATTEMPTS: u64 = 1000;

/// Maximum number of key ids that are looked up.
const MAX_KEYS: usize = 100;

#[async_trait]
impl KeyChecks for SeaOrmStore {
    async fn find(&self, key_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(Operation::CheckKeys, async {
            let query = Entity::find_by_id(self.check_of(key_id)).into_query();
            let found: Option<Model> = self.database.read_one(&query).await?;
            Ok(found.map(|row| row.check_value))
        })
        .await
    }

    async fn keep(&self, key_id: &str, check_value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.call(Operation::CheckKeys, async {
            let (app_id, key) = self.check_of(key_id);
            let row = Model { app_id, key_id: key, check_value: check_value.to_owned() };
            let kept = OnConflict::columns([Column::AppId, Column::KeyId]).do_nothing().to_owned();
            let write = self.database.begin_write().await?;
            Entity::insert(row.into_active_model().reset_all())
                .on_conflict(kept)
                .exec_without_returning(write.on())
                .await
                .map_err(|error| translate(&error))?;
            let stored = Entity::find_by_id(self.check_of(key_id)).one(write.on()).await;
            let stored = stored.map_err(|error| translate(&error))?;
            write.commit().await?;
            stored.map(|row| row.check_value).ok_or_else(|| corrupt("sealing_key", "no row"))
        })
        .await
    }

    async fn sealed_under(
        &self,
        key_id: &str,
        limit: u64,
    ) -> Result<Vec<(SealContext, Vec<u8>)>, StoreError> {
        self.call(Operation::CheckKeys, async {
            let read = async |limit| self.tokens_under(key_id, limit).await;
            let tokens = readable_page(Table::Token, limit, read).await?;
            let tokens = self.meter.unreadable.leave_out(tokens).into_iter();
            let tokens = tokens
                .map(|row| (of_account(AccountId::from_uuid(row.account_id)), row.sealed_token));
            let short_lived = self.short_lived_tokens().await?.into_iter();
            let short_lived = short_lived.map(|(code, token)| (of_attempt(&code), token));
            let codes = self.sealed_codes().await?.into_iter();
            let codes = codes.map(|(code, sealed)| (of_hosted_code(&code), sealed));
            let short_lived =
                short_lived.chain(codes).filter(|(_, sealed)| key_id_of(sealed) == Some(key_id));
            let user_key = self.sealed_user_key().await?.into_iter();
            let user_key = user_key.filter(|(_, sealed)| key_id_of(sealed) == Some(key_id));
            let mut sealed: Vec<_> = user_key.chain(tokens).chain(short_lived).collect();
            sealed.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(sealed)
        })
        .await
    }

    async fn in_use_except(&self, known: &[String]) -> Result<Vec<String>, StoreError> {
        self.call(Operation::CheckKeys, async {
            let short_lived = self.short_lived_tokens().await?;
            let user_key = self.sealed_user_key().await?.map(|(_, sealed)| sealed);
            let codes = self.sealed_codes().await?;
            let sealed =
                short_lived.iter().chain(&codes).map(|(_, sealed)| sealed).chain(&user_key);
            let ids = sealed.filter_map(|sealed| key_id_of(sealed));
            let mut in_use: BTreeSet<String> = ids.map(str::to_owned).collect();
            let mut last = String::new();
            for _ in 0..MAX_KEYS {
                let Some(next) = self.key_behind(&last).await? else { break };
                // Of this app, that is: another's tokens are under keys of its own.
                if !known.contains(&next) && !self.tokens_under(&next, 1).await?.is_empty() {
                    in_use.insert(next.clone());
                }
                last = next;
            }
            in_use.retain(|id| !known.contains(id));
            Ok(in_use.into_iter().collect())
        })
        .await
    }
}

impl SeaOrmStore {
    fn check_of(&self, key_id: &str) -> (String, String) {
        (self.app.as_str().to_owned(), key_id.to_owned())
    }

    async fn tokens_under(
        &self,
        key_id: &str,
        limit: u64,
    ) -> Result<Vec<Row<TokenRow>>, StoreError> {
        use account_token::Column::{AccountId, SealedToken};
        let query = account_token::Entity::find()
            .select_only()
            .columns([AccountId, SealedToken])
            .join(JoinType::InnerJoin, account_token::Relation::Account.def())
            .filter(instagram_account::Column::AppId.eq(self.app.as_str()))
            .filter(account_token::Column::KeyId.eq(key_id))
            .limit(limit)
            .into_query();
        self.database.read_rows(Table::Token, &query, Ok).await
    }

    /// The next key id of long-lived tokens, of whichever app: one step in an index.
    async fn key_behind(&self, last: &str) -> Result<Option<String>, StoreError> {
        use account_token::Column::KeyId;
        let query = account_token::Entity::find()
            .select_only()
            .column_as(KeyId.min(), "next")
            .filter(KeyId.gt(last))
            .into_query();
        let rows = self.database.read_rows(Table::Token, &query, |row: KeyIdRow| Ok(row.next));
        let rows = self.meter.unreadable.leave_out(rows.await?);
        Ok(rows.into_iter().flatten().next())
    }

    /// The sealed short-lived tokens, each with the hash of its code.
    async fn short_lived_tokens(&self) -> Result<Vec<(CodeHash, Vec<u8>)>, StoreError> {
        use link_attempt::Column::{AppId, CodeHash, Phase, SealedToken};
        let query = link_attempt::Entity::find()
            .select_only()
            .columns([CodeHash, SealedToken])
            .filter(AppId.eq(self.app.as_str()))
            .filter(Phase.eq(EXCHANGED))
            .filter(SealedToken.is_not_null())
            .limit(MAX_ATTEMPTS)
            .into_query();
        let rows = self.database.read_rows(Table::Attempt, &query, AttemptRow::into_parts);
        Ok(self.meter.unreadable.leave_out(rows.await?))
    }

    /// The sealed codes of hosted consents, each with its hash.
    async fn sealed_codes(&self) -> Result<Vec<(CodeHash, Vec<u8>)>, StoreError> {
        use hosted_code::Column::{AppId, CodeHash, SealedCode};
        let query = hosted_code::Entity::find()
            .select_only()
            .columns([CodeHash, SealedCode])
            .filter(AppId.eq(self.app.as_str()))
            .filter(SealedCode.is_not_null())
            .limit(MAX_ATTEMPTS)
            .into_query();
        let read = |HostedCodeRow { code_hash, sealed_code }| {
            Ok((ig_domain::CodeHash::from_bytes(hash("code_hash", &code_hash)?), sealed_code))
        };
        let rows = self.database.read_rows(Table::HostedCode, &query, read);
        Ok(self.meter.unreadable.leave_out(rows.await?))
    }
}

/// A key id, if there is a next one.
#[derive(FromQueryResult)]
struct KeyIdRow {
    next: Option<String>,
}

/// The columns of a token that open it.
#[derive(FromQueryResult)]
struct TokenRow {
    account_id: Uuid,
    sealed_token: Vec<u8>,
}

/// The columns of an attempt with its sealed short-lived token.
#[derive(FromQueryResult)]
struct AttemptRow {
    code_hash: Vec<u8>,
    sealed_token: Vec<u8>,
}

impl AttemptRow {
    fn into_parts(self) -> Result<(CodeHash, Vec<u8>), StoreError> {
        let Self { code_hash, sealed_token } = self;
        Ok((CodeHash::from_bytes(hash("code_hash", &code_hash)?), sealed_token))
    }
}

/// The columns of a kept code that open it.
#[derive(FromQueryResult)]
struct HostedCodeRow {
    code_hash: Vec<u8>,
    sealed_code: Vec<u8>,
}
