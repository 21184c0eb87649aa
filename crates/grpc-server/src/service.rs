//! The RPCs: parse, execute, convert.

use ig_application::{
    BeginLink, GetAccount, LinkAccount, ListAccounts, RefreshAccount, UnlinkAccount,
    UnlinkAccountError,
};
use ig_proto::v1;
use ig_proto::v1::instagram_account_service_server::InstagramAccountService;
use tonic::{Request, Response, Status};

use crate::calls::Subject;
use crate::convert;
use crate::convert::Listing;
use crate::status::ToStatus as _;

/// What the RPCs do.
pub struct UseCases {
    /// `BeginLink`.
    pub begin_link: BeginLink,
    /// `Link`.
    pub link: LinkAccount,
    /// `Get`.
    pub get: GetAccount,
    /// `List`.
    pub list: ListAccounts,
    /// `Refresh`.
    pub refresh: RefreshAccount,
    /// `Unlink`.
    pub unlink: UnlinkAccount,
}

#[tonic::async_trait]
impl InstagramAccountService for UseCases {
    async fn begin_link(
        &self,
        request: Request<v1::BeginLinkRequest>,
    ) -> Result<Response<v1::BeginLinkResponse>, Status> {
        let (subject, request) = Subject::split(request);
        let command = convert::begin_link(&request).map_err(|error| error.to_status())?;
        subject.is(command.account);
        let begun = self.begin_link.execute(command).await;
        let begun = begun.map_err(|error| error.to_status())?;
        Ok(Response::new(convert::begun_link(begun)))
    }

    async fn link(
        &self,
        request: Request<v1::LinkRequest>,
    ) -> Result<Response<v1::LinkResponse>, Status> {
        let (subject, request) = Subject::split(request);
        let presented = convert::link(&request).map_err(|error| error.to_status())?;
        let linked = self.link.execute(presented).await.map_err(|error| error.to_status())?;
        subject.is(Some(linked.view.account.id));
        Ok(Response::new(convert::linked_account(linked)))
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        let (key, owner) = convert::get(request.get_ref()).map_err(|error| error.to_status())?;
        let view = self.get.execute(&key, owner.as_ref()).await;
        let view = view.map_err(|error| error.to_status())?;
        Ok(Response::new(v1::GetResponse { account: Some(convert::account(view)) }))
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let query = convert::list(request.get_ref()).map_err(|error| error.to_status())?;
        let listing = Listing::of(query.owner.as_ref(), query.status);
        let listed = self.list.execute(query).await.map_err(|error| error.to_status())?;
        Ok(Response::new(convert::listed_accounts(listed, listing)))
    }

    async fn refresh(
        &self,
        request: Request<v1::RefreshRequest>,
    ) -> Result<Response<v1::RefreshResponse>, Status> {
        let (subject, request) = Subject::split(request);
        let (id, owner) = convert::refresh(&request).map_err(|error| error.to_status())?;
        subject.is(Some(id));
        let refreshed = self.refresh.execute(id, owner.as_ref()).await;
        let refreshed = refreshed.map_err(|error| error.to_status())?;
        Ok(Response::new(convert::refreshed_account(refreshed)))
    }

    async fn unlink(
        &self,
        request: Request<v1::UnlinkRequest>,
    ) -> Result<Response<v1::UnlinkResponse>, Status> {
        let (subject, request) = Subject::split(request);
        let (id, owner) = convert::unlink(&request).map_err(|error| error.to_status())?;
        subject.is(Some(id));
        match self.unlink.execute(id, owner.as_ref()).await {
            Err(UnlinkAccountError::NotFound) if request.allow_missing => {}
            unlinked => unlinked.map_err(|error| error.to_status())?,
        }
        Ok(Response::new(v1::UnlinkResponse {}))
    }
}
