//! The RPCs: parse, execute, convert.

use std::sync::Arc;

use ig_application::{
    BeginLink, FetchAccessToken, GetAccount, GetAccounts, LinkAccount, ListAccounts,
    RefreshAccount, UnlinkAccount, UnlinkAccountError,
};
use ig_proto::v1;
use ig_proto::v1::instagram_account_service_server::InstagramAccountService;
use tonic::{Request, Response, Status};

use crate::calls::Context;
use crate::convert;
use crate::status::ToStatus as _;

/// Use cases behind the RPCs.
pub struct UseCases {
    /// `BeginLink`.
    pub begin_link: BeginLink,
    /// `Link`.
    pub link: LinkAccount,
    /// `Get`.
    pub get: GetAccount,
    /// `BatchGet`.
    pub batch_get: GetAccounts,
    /// `List`.
    pub list: ListAccounts,
    /// `Refresh`.
    pub refresh: Arc<RefreshAccount>,
    /// `FetchAccessToken`.
    pub fetch_access_token: FetchAccessToken,
    /// `Unlink`.
    pub unlink: UnlinkAccount,
}

#[tonic::async_trait]
impl InstagramAccountService for UseCases {
    async fn begin_link(
        &self,
        request: Request<v1::BeginLinkRequest>,
    ) -> Result<Response<v1::BeginLinkResponse>, Status> {
        let (context, request) = Context::split(request)?;
        let command = convert::begin_link(&request).map_err(|error| error.to_status())?;
        context.owners(Some(command.owner.clone()))?;
        context.is_about(command.account);
        let begun = self.begin_link.execute(command).await;
        let begun = begun.map_err(|error| error.to_status())?;
        Ok(Response::new(convert::begun_link(begun)))
    }

    async fn link(
        &self,
        request: Request<v1::LinkRequest>,
    ) -> Result<Response<v1::LinkResponse>, Status> {
        let (context, request) = Context::split(request)?;
        let presented = convert::link(&request).map_err(|error| error.to_status())?;
        context.owners(Some(presented.owner.clone()))?;
        let linked = self
            .link
            .execute(presented, context.place())
            .await
            .map_err(|error| error.to_status())?;
        context.is_about(Some(linked.view.account.id));
        Ok(Response::new(convert::linked_account(linked)))
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        let (context, request) = Context::split(request)?;
        let (key, owner) = convert::get(&request).map_err(|error| error.to_status())?;
        let owners = context.owners(owner)?;
        let view = self.get.execute(&key, &owners).await;
        let view = view.map_err(|error| error.to_status())?;
        Ok(Response::new(v1::GetResponse { account: Some(convert::account(view)) }))
    }

    async fn batch_get(
        &self,
        request: Request<v1::BatchGetRequest>,
    ) -> Result<Response<v1::BatchGetResponse>, Status> {
        let (context, request) = Context::split(request)?;
        let mut requested = convert::batch_get(&request).map_err(|error| error.to_status())?;
        let owners = context.owners(requested.owner.take())?;
        let _turn = context.bulk_read_turn().await?;
        let found = self.batch_get.execute(requested.keys(), &owners).await;
        let found = found.map_err(|error| error.to_status())?;
        Ok(Response::new(convert::found_accounts(found, &requested)))
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let (context, request) = Context::split(request)?;
        let page = convert::list(&request).map_err(|error| error.to_status())?;
        let owners = context.owners(page.owner.clone())?;
        let (query, listing) = page.query(owners).map_err(|error| error.to_status())?;
        let _turn = context.bulk_read_turn().await?;
        let listed = self.list.execute(query).await.map_err(|error| error.to_status())?;
        Ok(Response::new(convert::listed_accounts(listed, listing)))
    }

    async fn refresh(
        &self,
        request: Request<v1::RefreshRequest>,
    ) -> Result<Response<v1::RefreshResponse>, Status> {
        let (context, request) = Context::split(request)?;
        let (id, owner) = convert::refresh(&request).map_err(|error| error.to_status())?;
        let owners = context.owners(owner)?;
        context.is_about(Some(id));
        let refreshed = self.refresh.execute(id, &owners, context.place()).await;
        let refreshed = refreshed.map_err(|error| error.to_status())?;
        Ok(Response::new(convert::refreshed_account(refreshed)))
    }

    async fn fetch_access_token(
        &self,
        request: Request<v1::FetchAccessTokenRequest>,
    ) -> Result<Response<v1::FetchAccessTokenResponse>, Status> {
        let (context, request) = Context::split(request)?;
        let requested = convert::fetch_access_token(&request, context.request_id());
        let mut requested = requested.map_err(|error| error.to_status())?;
        context.is_about(Some(requested.account));
        let owners = context.owners(requested.owner.take())?;
        let command = requested.command(context.caller(), owners);
        let fetched = self.fetch_access_token.execute(command, context.place()).await;
        let fetched = fetched.map_err(|error| error.to_status())?;
        Ok(Response::new(convert::fetched_access_token(&fetched)))
    }

    async fn unlink(
        &self,
        request: Request<v1::UnlinkRequest>,
    ) -> Result<Response<v1::UnlinkResponse>, Status> {
        let (context, request) = Context::split(request)?;
        let (id, owner) = convert::unlink(&request).map_err(|error| error.to_status())?;
        let owners = context.owners(owner)?;
        context.is_about(Some(id));
        match self.unlink.execute(id, &owners).await {
            Err(UnlinkAccountError::NotFound) if request.allow_missing => {}
            unlinked => unlinked.map_err(|error| error.to_status())?,
        }
        Ok(Response::new(v1::UnlinkResponse {}))
    }
}
