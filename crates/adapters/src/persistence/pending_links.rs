//! States of links that have begun.

use async_trait::async_trait;
use ig_domain::ports::{PendingLinks, StoreError};
use ig_domain::{
    AccountId, AppId, CodeHash, LinkEnd, LinkEndKind, PendingLink, SessionBindingHash, StateHash,
};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, QueryTrait as _};

use super::SeaOrmStore;
use super::columns::{
    hash, instant, link_end, link_end_name, micros, parse, present, requested_scopes, scope_list,
};
use super::entity::pending_link::{Entity, Model};
use super::error::translate;
use super::store_meter::Operation;

#[async_trait]
impl PendingLinks for SeaOrmStore {
    async fn insert(&self, pending: &PendingLink) -> Result<(), StoreError> {
        self.call(Operation::InsertState, async {
            let write = self.database.begin_write().await?;
            let row = to_row(&self.app, pending).into_active_model().reset_all();
            let inserted = Entity::insert(row).exec_without_returning(write.on()).await;
            inserted.map_err(|error| translate(&error))?;
            write.commit().await
        })
        .await
    }

    async fn find(&self, state: &StateHash) -> Result<Option<PendingLink>, StoreError> {
        self.call(Operation::FindState, async {
            let key = (self.app.as_str().to_owned(), state.as_bytes().to_vec());
            let found: Option<Model> =
                self.database.read_one(&Entity::find_by_id(key).into_query()).await?;
            found.map(to_domain).transpose()
        })
        .await
    }
}

fn to_row(app: &AppId, pending: &PendingLink) -> Model {
    let PendingLink {
        state,
        owner,
        session_binding,
        redirect_uri,
        end,
        scopes,
        account,
        create_time,
        expire_time,
        spent_by,
    } = pending;
    let return_url = match end {
        LinkEnd::ReturnUrl(url) => Some(url.as_str().to_owned()),
        LinkEnd::Caller | LinkEnd::Page => None,
    };
    Model {
        app_id: app.as_str().to_owned(),
        state_hash: state.as_bytes().to_vec(),
        owner: owner.to_string(),
        session_binding_hash: session_binding.as_bytes().to_vec(),
        redirect_uri: redirect_uri.as_str().to_owned(),
        scopes: scope_list(scopes.iter()),
        account_id: account.map(|id| *id.as_uuid()),
        create_time: micros(*create_time),
        expire_time: micros(*expire_time),
        spent_by: spent_by.map(|code| code.as_bytes().to_vec()),
        link_end: link_end_name(end.kind()).map(str::to_owned),
        return_url,
    }
}

fn to_domain(row: Model) -> Result<PendingLink, StoreError> {
    let Model {
        app_id: _,
        state_hash,
        owner,
        session_binding_hash,
        redirect_uri,
        scopes,
        account_id,
        create_time,
        expire_time,
        spent_by,
        link_end: end,
        return_url,
    } = row;
    let session_binding = hash("session_binding_hash", &session_binding_hash)?;
    let end = match link_end("link_end", end.as_deref())? {
        LinkEndKind::Caller => LinkEnd::Caller,
        LinkEndKind::Page => LinkEnd::Page,
        LinkEndKind::ReturnUrl => {
            let url = present("return_url", return_url)?;
            LinkEnd::ReturnUrl(parse("return_url", &url)?)
        }
    };
    let spent_by = spent_by.map(|code| hash("spent_by", &code)).transpose()?;
    Ok(PendingLink {
        state: StateHash::from_bytes(hash("state_hash", &state_hash)?),
        owner: parse("owner", &owner)?,
        session_binding: SessionBindingHash::from_bytes(session_binding),
        redirect_uri: parse("redirect_uri", &redirect_uri)?,
        end,
        scopes: requested_scopes("scopes", &scopes)?,
        account: account_id.map(AccountId::from_uuid),
        create_time: instant("create_time", create_time)?,
        expire_time: instant("expire_time", expire_time)?,
        spent_by: spent_by.map(CodeHash::from_bytes),
    })
}
