//! Two owners with an account each, and a caller who may act for one of them only.

use std::sync::{Arc, Mutex};

use ig_domain::{Profile, Role};
use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use ig_proto::v1::watch_request::From;
use ig_test_support::builders::profile;
use ig_test_support::callers::{Known, caller};
use tonic::{Request, Status};

use crate::world::{Server, TonicClient, World, instagram_of};

/// The owner for whom the clerk may act.
pub(crate) const SHOP: &str = "shop/7";

/// An owner for whom the clerk may not.
pub(crate) const CAFE: &str = "cafe/1";

/// A request of the caller with this token.
pub(crate) fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// An account of [`SHOP`] and one of [`CAFE`]; `clerk` calls for all that belongs to shops, `root` for everybody.
pub(crate) struct TwoOwners {
    pub(crate) world: World,
    pub(crate) server: Server,
    pub(crate) client: TonicClient,
    pub(crate) shop: v1::InstagramAccount,
    pub(crate) cafe: v1::InstagramAccount,
    person: Arc<Mutex<Profile>>,
}

/// Target of a call of the clerk's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Its own owner, named.
    Own,
    /// Another owner, named.
    Other,
    /// Another owner's account, and no owner named.
    Unnamed,
    /// Another owner's account, and its own owner named.
    Crossed,
}

impl Target {
    fn owner(self) -> Option<&'static str> {
        match self {
            Self::Own | Self::Crossed => Some(SHOP),
            Self::Other => Some(CAFE),
            Self::Unnamed => None,
        }
    }
}

impl TwoOwners {
    pub(crate) async fn with(roles: &[Role]) -> Self {
        let person = Arc::new(Mutex::new(profile(1)));
        let asked = Arc::clone(&person);
        let mut instagram = instagram_of(move || asked.lock().unwrap().clone());
        instagram
            .expect_authorization_url()
            .returning(|_, _, _, _| "https://example.com".to_owned());
        let mut world = World::with(instagram);
        let callers = [caller("root", &[Role::Admin], "*"), caller("clerk", roles, "shop/*")];
        world.callers = Known::of(callers);
        let server = world.serve().await;
        let mut client = server.client().await;
        let shop = linked(&mut client, SHOP).await;
        *person.lock().unwrap() = profile(2);
        let cafe = linked(&mut client, CAFE).await;
        *person.lock().unwrap() = profile(1);
        Self { world, server, client, shop, cafe, person }
    }

    /// Sets the profile that Instagram gives for any token from now on.
    pub(crate) fn comes(&self, profile: Profile) {
        *self.person.lock().unwrap() = profile;
    }

    /// Calls as the clerk, and answers the ids of the accounts that it is shown.
    pub(crate) async fn call(&mut self, rpc: &str, target: Target) -> Result<Vec<String>, Status> {
        let owner = target.owner().map(str::to_owned);
        let account = if target == Target::Own { &self.shop } else { &self.cafe };
        let account_id = account.account_id.clone();
        let whose = account.owner.clone();
        let client = &mut self.client;
        let shown = match rpc {
            "BeginLink" => {
                let request = v1::BeginLinkRequest { account_id, ..begin_request(owner) };
                client.begin_link(by("clerk", request)).await?;
                Vec::new()
            }
            "Link" => {
                let state = begun(client, "root", &whose).await;
                let request = link_request(&state, &owner.unwrap_or_default());
                Vec::from_iter(client.link(by("clerk", request)).await?.into_inner().account)
            }
            "Get" => {
                let request = v1::GetRequest { key: Some(Key::AccountId(account_id)), owner };
                Vec::from_iter(client.get(by("clerk", request)).await?.into_inner().account)
            }
            "BatchGet" => {
                let account_ids = vec![account_id];
                let request = v1::BatchGetRequest { account_ids, owner, ..Default::default() };
                client.batch_get(by("clerk", request)).await?.into_inner().accounts
            }
            "List" => {
                let request = v1::ListRequest { owner, ..Default::default() };
                client.list(by("clerk", request)).await?.into_inner().accounts
            }
            "Refresh" => {
                let request = v1::RefreshRequest { account_id, owner };
                Vec::from_iter(client.refresh(by("clerk", request)).await?.into_inner().account)
            }
            "FetchAccessToken" => {
                let request =
                    v1::FetchAccessTokenRequest { account_id, owner, ..Default::default() };
                let answer = client.fetch_access_token(by("clerk", request)).await?.into_inner();
                return Ok(vec![answer.professional_account_id]);
            }
            "Unlink" => {
                let request = v1::UnlinkRequest { account_id, owner, allow_missing: false };
                client.unlink(by("clerk", request)).await?;
                Vec::new()
            }
            "Import" => {
                let owner = owner.unwrap_or_default();
                let access_token = "IGAA-imported".to_owned();
                let request = v1::ImportRequest { access_token, owner, ..Default::default() };
                Vec::from_iter(client.import(by("clerk", request)).await?.into_inner().account)
            }
            "Watch" => {
                let from = Some(From::Start(v1::WatchStart::Earliest.into()));
                let request = v1::WatchRequest { from, owner, ..Default::default() };
                let mut stream = client.watch(by("clerk", request)).await?.into_inner();
                let mut told = Vec::new();
                loop {
                    let response = stream.message().await?.unwrap();
                    told.extend(
                        response.events.into_iter().map(|event| event.professional_account_id),
                    );
                    if response.caught_up {
                        return Ok(told);
                    }
                }
            }
            "CommitWatch" => {
                // It is about no owner: a consumer is its caller's own.
                let listed =
                    client.list(by("root", v1::ListRequest::default())).await?.into_inner();
                let (consumer, cursor) = ("copy".to_owned(), listed.watch_cursor);
                let request = v1::CommitWatchRequest { consumer, cursor };
                client.commit_watch(by("clerk", request)).await?;
                Vec::new()
            }
            other => panic!("{other} has no row: say here who may call it"),
        };
        Ok(shown.into_iter().map(|account| account.professional_account_id).collect())
    }
}

/// Links the account that Instagram knows now for this owner.
async fn linked(client: &mut TonicClient, owner: &str) -> v1::InstagramAccount {
    let state = begun(client, "root", owner).await;
    let answer = client.link(by("root", link_request(&state, owner))).await.unwrap();
    answer.into_inner().account.unwrap()
}

/// The state of a link that this caller begins for this owner.
pub(crate) async fn begun(client: &mut TonicClient, token: &str, owner: &str) -> String {
    let request = begin_request(Some(owner.to_owned()));
    client.begin_link(by(token, request)).await.unwrap().into_inner().state
}

pub(crate) fn begin_request(owner: Option<String>) -> v1::BeginLinkRequest {
    let redirect_uri = "https://example.com/callback".to_owned();
    v1::BeginLinkRequest { owner: owner.unwrap_or_default(), redirect_uri, ..Default::default() }
}

/// Request that finishes the link with this state; each has a code of its own.
pub(crate) fn link_request(state: &str, owner: &str) -> v1::LinkRequest {
    let (code, state, owner) = (format!("C-{state}"), state.to_owned(), owner.to_owned());
    v1::LinkRequest { code, state, owner, ..Default::default() }
}
