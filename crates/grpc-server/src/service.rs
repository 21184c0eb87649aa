//! The RPCs: parse, execute, convert.

use std::sync::Arc;

use ig_application::{
    BeginLink, CommitWatch, FetchAccessToken, GetAccount, GetAccounts, ImportAccount, LinkAccount,
    LinkSettings, ListAccounts, OpenWatch, Ports, RefreshAccount, UnlinkAccount,
    UnlinkAccountError, Watch, WatchCommand,
};
use ig_domain::ports::{Clock, ConsumerKey};
use ig_proto::v1;
use ig_proto::v1::instagram_account_service_server::InstagramAccountService;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use crate::calls::Context;
use crate::convert;
use crate::encoded_answer::EncodedAnswer;
use crate::encoded_stream::NoMessages;
use crate::status::ToStatus as _;
use crate::watch::{StreamDriver, drive};

/// Use cases behind the RPCs.
pub struct UseCases {
    /// `BeginLink`.
    begin_link: BeginLink,
    /// `Link`.
    link: LinkAccount,
    /// `Get`.
    get: GetAccount,
    /// `BatchGet`.
    batch_get: GetAccounts,
    /// `List`.
    list: ListAccounts,
    /// `Refresh`.
    refresh: Arc<RefreshAccount>,
    /// `FetchAccessToken`.
    fetch_access_token: FetchAccessToken,
    /// `Unlink`.
    unlink: UnlinkAccount,
    /// `Import`.
    import: ImportAccount,
    /// `Watch`.
    watch: OpenWatch,
    /// `CommitWatch`.
    commit_watch: CommitWatch,
    /// Business time, by which requests are judged.
    clock: Arc<dyn Clock>,
    /// Runs streams.
    streams: StreamDriver,
}

impl UseCases {
    /// All use cases over `ports`; streams are made of `watch`, and links begin by the rules of `links`. `tracker` waits
    /// for work that outlives its caller. Streams run on the current runtime.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[must_use]
    pub fn new(ports: &Ports, watch: &Watch, links: LinkSettings, tracker: &TaskTracker) -> Self {
        let (accounts, clock) = (&ports.store.accounts, &ports.clock);
        let cached = &ports.store.cached_accounts;
        let refresh = Arc::new(RefreshAccount::new(ports, tracker.clone()));
        Self {
            begin_link: BeginLink {
                accounts: accounts.clone(),
                pending_links: ports.store.pending_links.clone(),
                instagram: ports.instagram.clone(),
                clock: clock.clone(),
                ids: ports.ids.clone(),
                settings: links,
            },
            link: LinkAccount::new(ports, tracker.clone()),
            get: GetAccount { accounts: cached.clone(), clock: clock.clone() },
            batch_get: GetAccounts { accounts: cached.clone(), clock: clock.clone() },
            list: ListAccounts { accounts: accounts.clone(), clock: clock.clone() },
            fetch_access_token: FetchAccessToken::new(ports, refresh.clone(), tracker.clone()),
            refresh,
            unlink: UnlinkAccount::new(ports),
            import: ImportAccount::new(ports, tracker.clone()),
            watch: OpenWatch { watch: watch.clone() },
            commit_watch: CommitWatch::new(watch),
            clock: clock.clone(),
            streams: StreamDriver::start(tracker.clone()),
        }
    }
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
        context.owners(Some(presented.owner().clone()))?;
        let linked = self
            .link
            .execute(presented, context.place())
            .await
            .map_err(|error| error.to_status())?;
        context.is_about(Some(linked.view.account.id));
        Ok(Response::new(convert::linked_account(&linked)))
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
        Ok(EncodedAnswer::of_get(&view).into_response())
    }

    async fn batch_get(
        &self,
        request: Request<v1::BatchGetRequest>,
    ) -> Result<Response<v1::BatchGetResponse>, Status> {
        let (context, request) = Context::split(request)?;
        let mut requested = convert::batch_get(&request).map_err(|error| error.to_status())?;
        let owners = context.owners(requested.owner.take())?;
        let _turn = context.caller_turn().await?;
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
        let _turn = context.caller_turn().await?;
        let watch_from = match &query.after {
            // Before the page is read, so that what changes meanwhile is watched.
            None => {
                Some(self.watch.position_before_now().await.map_err(|error| error.to_status())?)
            }
            Some(_) => None,
        };
        let listed = self.list.execute(query).await.map_err(|error| error.to_status())?;
        Ok(Response::new(convert::listed_accounts(listed, listing, watch_from)))
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
        Ok(Response::new(convert::refreshed_account(&refreshed)))
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

    async fn import(
        &self,
        request: Request<v1::ImportRequest>,
    ) -> Result<Response<v1::ImportResponse>, Status> {
        let (context, request) = Context::split(request)?;
        let command = convert::import(&request, self.clock.now());
        let command = command.map_err(|error| error.to_status())?;
        context.owners(Some(command.owner.clone()))?;
        let imported = self.import.execute(command, context.place()).await;
        let imported = imported.map_err(|error| error.to_status())?;
        context.is_about(Some(imported.view.account.id));
        Ok(Response::new(convert::imported_account(imported)))
    }

    type WatchStream = NoMessages<v1::WatchResponse>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (context, credentials, request) = Context::split_stream(request)?;
        let requested = convert::watch(&request).map_err(|error| error.to_status())?;
        let owner = requested.owner;
        context.owners(owner.clone())?;
        let caller = &context.caller().name;
        let rights = credentials.rights(caller.clone(), owner, requested.kinds);
        let command = WatchCommand {
            from: requested.from,
            consumer: requested.consumer.map(|name| ConsumerKey { caller: caller.clone(), name }),
            rights: Box::new(rights),
        };
        let stream = self.watch.execute(command).await.map_err(|error| error.to_status())?;
        Ok(drive(stream, context, &self.streams).into_response())
    }

    async fn commit_watch(
        &self,
        request: Request<v1::CommitWatchRequest>,
    ) -> Result<Response<v1::CommitWatchResponse>, Status> {
        let (context, request) = Context::split(request)?;
        let (name, position) =
            convert::commit_watch(&request).map_err(|error| error.to_status())?;
        let consumer = ConsumerKey { caller: context.caller().name.clone(), name };
        let committed = self.commit_watch.execute(&consumer, &position).await;
        committed.map_err(|error| error.to_status())?;
        Ok(Response::new(v1::CommitWatchResponse {}))
    }
}
