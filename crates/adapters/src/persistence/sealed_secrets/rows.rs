//! Reading secrets as they are stored.

use ig_domain::ports::{
    PayloadKey, SealContext, SealedKind, SealedPlace, SealedSecret, StoreError,
};
use ig_domain::{AccountId, CodeHash};
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, EntityTrait as _, FromQueryResult, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _, Select,
};
use uuid::Uuid;

use super::account_id;
use crate::persistence::SeaOrmStore;
use crate::persistence::attempt_row::EXCHANGED;
use crate::persistence::columns::{hash, instant};
use crate::persistence::entity::{account_token, hosted_code, instagram_account, link_attempt};
use crate::persistence::error::corrupt;
use crate::persistence::hosted_codes::of_hosted_code;
use crate::persistence::tokens::{of_account, of_attempt};
use crate::persistence::unreadable::{Row, Table, readable_page};
use crate::sealing::{key_id, sealed_range};

impl SeaOrmStore {
    /// At most `limit` secrets of a kind behind a place; with `other_than` only those that are sealed under another key.
    /// Tokens are in the order of their keys and accounts, all others in that of their rows.
    pub(in crate::persistence) async fn secrets(
        &self,
        kind: SealedKind,
        other_than: Option<&str>,
        after: Option<SealedPlace>,
        limit: u64,
    ) -> Result<Vec<SealedSecret>, StoreError> {
        match kind {
            SealedKind::UserKey if after.is_some() => Ok(Vec::new()),
            SealedKind::UserKey => {
                let kept = self.sealed_user_key().await?;
                // One that is damaged is told where it is opened.
                let secret = kept.and_then(|(context, sealed)| to_secret(context, sealed).ok());
                let is_other = |secret: &SealedSecret| other_than != Some(&*secret.key_id);
                Ok(secret.into_iter().filter(is_other).collect())
            }
            // Each read is boxed, since together they are large.
            SealedKind::Token => Box::pin(self.tokens(other_than, after, limit)).await,
            SealedKind::ShortLivedToken => {
                use link_attempt::Column::{AppId, CodeHash, Phase, SealedToken};
                let query = link_attempt::Entity::find()
                    .select_only()
                    .column(CodeHash)
                    .column_as(SealedToken, "sealed")
                    .filter(AppId.eq(self.app.as_str()))
                    .filter(Phase.eq(EXCHANGED))
                    .filter(within((CodeHash, after), (SealedToken, other_than)))
                    .order_by_asc(CodeHash);
                let read =
                    async |limit| self.coded(Table::Attempt, &query, of_attempt, limit).await;
                let secrets = Box::pin(readable_page(Table::Attempt, limit, read)).await?;
                Ok(self.meter.unreadable.leave_out(secrets))
            }
            SealedKind::HostedCode => {
                use hosted_code::Column::{AppId, CodeHash, SealedCode};
                let query = hosted_code::Entity::find()
                    .select_only()
                    .column(CodeHash)
                    .column_as(SealedCode, "sealed")
                    .filter(AppId.eq(self.app.as_str()))
                    .filter(within((CodeHash, after), (SealedCode, other_than)))
                    .order_by_asc(CodeHash);
                let read = async |limit| {
                    self.coded(Table::HostedCode, &query, of_hosted_code, limit).await
                };
                let secrets = Box::pin(readable_page(Table::HostedCode, limit, read)).await?;
                Ok(self.meter.unreadable.leave_out(secrets))
            }
        }
    }

    /// Secrets of rows that have the hash of a code.
    async fn coded<E: sea_orm::EntityTrait>(
        &self,
        table: Table,
        query: &Select<E>,
        context: fn(&CodeHash) -> SealContext,
        limit: u64,
    ) -> Result<Vec<Row<SealedSecret>>, StoreError> {
        let query = query.clone().limit(limit).into_query();
        let read = |CodedRow { code_hash, sealed }| {
            let code = CodeHash::from_bytes(hash("code_hash", &code_hash)?);
            to_secret(context(&code), sealed)
        };
        self.database.read_rows(table, &query, read).await
    }

    /// Long-lived tokens, those of one key after those of another: what is under `other_than` is passed over in a step.
    async fn tokens(
        &self,
        other_than: Option<&str>,
        after: Option<SealedPlace>,
        limit: u64,
    ) -> Result<Vec<SealedSecret>, StoreError> {
        let (mut key, mut behind) = match after {
            Some(place) => (Some(place.key_id), Some(account_id(&place.row)?)),
            None => (self.key_behind("").await?, None),
        };
        let mut tokens = Vec::new();
        while let Some(id) = key
            && (tokens.len() as u64) < limit
        {
            if other_than != Some(&*id) {
                let missing = limit - tokens.len() as u64;
                tokens.extend(self.tokens_under(&id, behind, missing).await?);
            }
            (key, behind) = (self.key_behind(&id).await?, None);
        }
        Ok(tokens)
    }

    /// At most `limit` long-lived tokens under a key, in the order of their accounts.
    pub(in crate::persistence) async fn tokens_under(
        &self,
        key: &str,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<SealedSecret>, StoreError> {
        let read = async |limit| {
            let query = self.sealed_tokens(key, after, limit);
            let to_secret = |TokenRow { account_id, sealed_token }| {
                let context = of_account(AccountId::from_uuid(account_id));
                Ok(SealedSecret { key_id: key.to_owned(), context, sealed: sealed_token })
            };
            self.database.read_rows(Table::Token, &query, to_secret).await
        };
        let tokens = Box::pin(readable_page(Table::Token, limit, read)).await?;
        Ok(self.meter.unreadable.leave_out(tokens))
    }

    pub(super) fn sealed_tokens(
        &self,
        key: &str,
        after: Option<Uuid>,
        limit: u64,
    ) -> SelectStatement {
        use account_token::Column::{AccountId, KeyId, SealedToken};
        let behind = after.map(|account| AccountId.gt(account));
        self.own_tokens()
            .columns([AccountId, SealedToken])
            .filter(KeyId.eq(key))
            .filter(Condition::all().add_option(behind))
            .order_by_asc(AccountId)
            .limit(limit)
            .into_query()
    }

    /// Places of at most `limit` long-lived tokens.
    pub(super) async fn token_places(
        &self,
        after: Option<&SealedPlace>,
        limit: u64,
    ) -> Result<Vec<SealedPlace>, StoreError> {
        let after = match after {
            Some(place) => Some((&*place.key_id, account_id(&place.row)?)),
            None => None,
        };
        let read = async |limit| {
            let query = self.placed_tokens(after, limit);
            let place = |TokenPlaceRow { key_id, account_id }| {
                Ok(SealedPlace { key_id, row: account_id.as_bytes().to_vec() })
            };
            self.database.read_rows(Table::Token, &query, place).await
        };
        let places = Box::pin(readable_page(Table::Token, limit, read)).await?;
        Ok(self.meter.unreadable.leave_out(places))
    }

    pub(super) fn placed_tokens(&self, after: Option<(&str, Uuid)>, limit: u64) -> SelectStatement {
        use account_token::Column::{AccountId, KeyId};
        // Both are compared as one, so that the index finds the place among any number of tokens of one key.
        let behind = after.map(|(key, account)| {
            let columns = [KeyId, AccountId].map(|column| Expr::col(column.as_column_ref()));
            Expr::tuple(columns).gt(Expr::tuple([Expr::value(key), Expr::value(account)]))
        });
        self.own_tokens()
            .columns([KeyId, AccountId])
            .filter(Condition::all().add_option(behind))
            .order_by_asc(KeyId)
            .order_by_asc(AccountId)
            .limit(limit)
            .into_query()
    }

    /// The tokens of this app's accounts. Their order is that of the tokens: a join would let the accounts lead.
    fn own_tokens(&self) -> Select<account_token::Entity> {
        use instagram_account::Column::{AppId, Id};
        let account = Query::select()
            .expr(Expr::val(1))
            .from(instagram_account::Entity)
            .and_where(
                Expr::col((instagram_account::Entity, Id))
                    .equals((account_token::Entity, account_token::Column::AccountId)),
            )
            .and_where(AppId.eq(self.app.as_str()))
            .take();
        account_token::Entity::find().select_only().filter(Expr::exists(account))
    }

    /// The next key id of long-lived tokens, of whichever app: one step in an index.
    pub(in crate::persistence) async fn key_behind(
        &self,
        last: &str,
    ) -> Result<Option<String>, StoreError> {
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
}

/// Rows behind a place that hold something sealed, with `other_than` under another key.
fn within<C: ColumnTrait>(
    (row, after): (C, Option<SealedPlace>),
    (sealed, other_than): (C, Option<&str>),
) -> Condition {
    let other = other_than.map(|key| {
        let range = sealed_range(key);
        Condition::any().add(sealed.lt(range.start)).add(sealed.gte(range.end))
    });
    Condition::all()
        .add(sealed.is_not_null())
        .add_option(after.map(|place| row.gt(place.row)))
        .add_option(other)
}

fn to_secret(context: SealContext, sealed: Vec<u8>) -> Result<SealedSecret, StoreError> {
    let key_id = key_id(&sealed).ok_or_else(|| corrupt(context.table, "not sealed"))?.to_owned();
    Ok(SealedSecret { key_id, context, sealed })
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

/// The columns of a token that place it.
#[derive(FromQueryResult)]
struct TokenPlaceRow {
    key_id: String,
    account_id: Uuid,
}

/// The columns of a row that has the hash of a code, and something sealed.
#[derive(FromQueryResult)]
struct CodedRow {
    code_hash: Vec<u8>,
    sealed: Vec<u8>,
}

/// An event with the beginning of its payload.
#[derive(FromQueryResult)]
pub(super) struct PayloadHeadRow {
    id: i64,
    event_time: i64,
    head: Vec<u8>,
}

impl PayloadHeadRow {
    pub(super) fn into_key(self) -> Result<PayloadKey, StoreError> {
        let Self { id, event_time, head } = self;
        Ok(PayloadKey {
            place: id,
            key_id: key_id(&head).map(str::to_owned),
            time: instant("event_time", event_time)?,
        })
    }
}
