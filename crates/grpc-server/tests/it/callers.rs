//! Who may call what, and for whom.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ig_domain::{Caller, Role};
use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use ig_test_support::builders::profile;
use ig_test_support::callers::{Known, caller};
use prost::Message as _;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use rstest::rstest;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::world::{
    Stuck, TonicClient, World, assert_refused, instagram_of, retry_delay, willing_instagram,
};

/// A request of the caller with this token.
pub(crate) fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// An account of `shop/7` and one of `cafe/1`, and a caller for all that belongs to shops.
struct Town {
    client: TonicClient,
    shop: String,
    cafe: String,
}

impl Town {
    async fn with(roles: &[Role]) -> Self {
        let mut numbers = [1, 2].into_iter();
        let mut instagram = instagram_of(move || profile(numbers.next().unwrap_or(1)));
        instagram
            .expect_authorization_url()
            .returning(|_, _, _, _| "https://example.com".to_owned());
        let mut world = World::with(instagram);
        let callers = [caller("root", &[Role::Admin], "*"), caller("clerk", roles, "shop/*")];
        world.callers = Known::of(callers);
        let mut client = world.client().await;
        let mut linked = Vec::new();
        for owner in ["shop/7", "cafe/1"] {
            world.begin(owner, owner).await;
            let answer = client.link(by("root", link_request(owner, owner))).await.unwrap();
            linked.push(answer.into_inner().account.unwrap().account_id);
        }
        world.begin("again", "shop/7").await;
        let [shop, cafe] = linked.try_into().unwrap();
        Self { client, shop, cafe }
    }

    /// Calls as the clerk, and answers the ids of the accounts that it is shown.
    async fn call(&mut self, rpc: &str, target: Target) -> Result<Vec<String>, Status> {
        let owner = target.owner().map(str::to_owned);
        let account_id = if target == Target::Own { &self.shop } else { &self.cafe }.clone();
        let client = &mut self.client;
        match rpc {
            "BeginLink" => {
                let redirect_uri = "https://example.com/callback".to_owned();
                let owner = owner.unwrap_or_default();
                let request = v1::BeginLinkRequest { owner, redirect_uri, ..Default::default() };
                client.begin_link(by("clerk", request)).await.map(|_| Vec::new())
            }
            "Link" => {
                let request = link_request("again", &owner.unwrap_or_default());
                let answer = client.link(by("clerk", request)).await?.into_inner();
                Ok(answer.account.into_iter().map(|account| account.account_id).collect())
            }
            "Get" => {
                let request = v1::GetRequest { key: Some(Key::AccountId(account_id)), owner };
                let answer = client.get(by("clerk", request)).await?.into_inner();
                Ok(answer.account.into_iter().map(|account| account.account_id).collect())
            }
            "BatchGet" => {
                let account_ids = vec![account_id];
                let request = v1::BatchGetRequest { account_ids, owner, ..Default::default() };
                let answer = client.batch_get(by("clerk", request)).await?.into_inner();
                Ok(answer.accounts.into_iter().map(|account| account.account_id).collect())
            }
            "List" => {
                let request = v1::ListRequest { owner, ..Default::default() };
                let answer = client.list(by("clerk", request)).await?.into_inner();
                Ok(answer.accounts.into_iter().map(|account| account.account_id).collect())
            }
            "Refresh" => {
                let request = v1::RefreshRequest { account_id, owner };
                let answer = client.refresh(by("clerk", request)).await?.into_inner();
                Ok(answer.account.into_iter().map(|account| account.account_id).collect())
            }
            "FetchAccessToken" => {
                let request =
                    v1::FetchAccessTokenRequest { account_id, owner, ..Default::default() };
                client.fetch_access_token(by("clerk", request)).await.map(|_| Vec::new())
            }
            "Unlink" => {
                let request = v1::UnlinkRequest { account_id, owner, allow_missing: false };
                client.unlink(by("clerk", request)).await.map(|_| Vec::new())
            }
            other => panic!("{other} has no row: say here who may call it"),
        }
    }
}

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// The caller's own owner, named.
    Own,
    /// Another owner, named.
    Other,
    /// Another owner's account, and no owner named.
    Unnamed,
}

impl Target {
    fn owner(self) -> Option<&'static str> {
        match self {
            Self::Own => Some("shop/7"),
            Self::Other => Some("cafe/1"),
            Self::Unnamed => None,
        }
    }
}

fn link_request(state: &str, owner: &str) -> v1::LinkRequest {
    let (code, state, owner) = (format!("C-{state}"), state.to_owned(), owner.to_owned());
    v1::LinkRequest { code, state, owner, ..Default::default() }
}

const READ: &[Role] = &[Role::Read, Role::Admin];
const LINK: &[Role] = &[Role::Link, Role::Admin];
const TOKEN: &[Role] = &[Role::Token, Role::Admin];
const LINK_OR_TOKEN: &[Role] = &[Role::Link, Role::Token, Role::Admin];
const ADMIN: &[Role] = &[Role::Admin];

/// Who may call it, and what it answers about an account of an owner that is none of the caller's and is not named.
const RIGHTS: &[(&str, &[Role], Option<&str>)] = &[
    ("BeginLink", LINK, Some("PERMISSION_DENIED")),
    ("Link", LINK, Some("PERMISSION_DENIED")),
    ("Get", READ, Some("ACCOUNT_NOT_FOUND")),
    ("BatchGet", READ, None),
    ("List", READ, None),
    ("Refresh", LINK_OR_TOKEN, Some("ACCOUNT_NOT_FOUND")),
    ("FetchAccessToken", TOKEN, Some("ACCOUNT_NOT_FOUND")),
    ("Unlink", ADMIN, Some("ACCOUNT_NOT_FOUND")),
];

#[test]
fn every_rpc_has_its_row() {
    let set = FileDescriptorSet::decode(ig_proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| &file.service);
    let ours = services.filter(|service| service.name() == "InstagramAccountService");
    let mut methods: Vec<_> =
        ours.flat_map(|one| one.method.iter().map(MethodDescriptorProto::name)).collect();
    let mut rows: Vec<_> = RIGHTS.iter().map(|(rpc, _, _)| *rpc).collect();
    methods.sort_unstable();
    rows.sort_unstable();
    assert_eq!(rows, methods);
}

#[rstest]
#[case::read(Role::Read)]
#[case::link(Role::Link)]
#[case::token(Role::Token)]
#[case::admin(Role::Admin)]
#[tokio::test]
async fn a_role_opens_its_calls_and_no_others_and_only_for_its_owners(#[case] role: Role) {
    for (rpc, roles, unnamed) in RIGHTS {
        for target in [Target::Own, Target::Other, Target::Unnamed] {
            let mut town = Town::with(&[role]).await;
            let expected = match target {
                _ if !roles.contains(&role) => Some("PERMISSION_DENIED"),
                Target::Own => None,
                Target::Other => Some("PERMISSION_DENIED"),
                Target::Unnamed => *unnamed,
            };
            let answer = town.call(rpc, target).await;
            let told =
                answer.as_ref().err().map(|status| status.get_details_error_info().unwrap().reason);
            assert_eq!(told.as_deref(), expected, "{rpc} of {target:?} by {role}: {answer:?}");
            assert!(
                !answer.unwrap_or_default().contains(&town.cafe),
                "{rpc} of {target:?} by {role}"
            );
        }
    }
}

#[rstest]
#[case::nothing(None)]
#[case::a_wrong_token(Some("Bearer wrong"))]
#[case::an_expired_one(Some("Bearer expired"))]
#[case::another_scheme(Some("Basic cm9vdDpyb290"))]
#[tokio::test]
async fn whoever_is_not_known_gets_one_answer(#[case] authorization: Option<&str>) {
    let mut town = Town::with(&[Role::Admin]).await;
    let mut request = Request::new(v1::ListRequest::default());
    if let Some(value) = authorization {
        request.metadata_mut().insert("authorization", value.parse().unwrap());
    }
    let status = town.client.list(request).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, "UNAUTHENTICATED", &[]);
    assert!(status.message().starts_with("it is not known who calls: send `authorization: Bearer"));
}

#[tokio::test]
async fn a_caller_without_room_is_told_to_wait_and_others_are_not() {
    let stuck = Stuck::default();
    let mut world = World { accounts: Arc::new(stuck.clone()), ..World::new() };
    let narrow = Caller { max_in_flight: NonZeroU32::new(1), ..caller("a", &[Role::Admin], "*") };
    let other = caller("b", &[Role::Admin], "*");
    world.callers = Known::of([narrow, other]);
    let client = world.client().await;
    let key = Key::AccountId("00000000-0000-0000-0000-000000000007".to_owned());
    let get = v1::GetRequest { key: Some(key), owner: None };
    let first = tokio::spawn({
        let (mut client, get) = (client.clone(), get.clone());
        async move { client.get(by("a", get)).await }
    });
    stuck.entered.notified().await;
    // What is wrong with a call shows only once it is let in.
    let bad = v1::GetRequest::default;
    let status = client.clone().get(by("a", bad())).await.unwrap_err();
    let details = assert_refused(&status, Code::ResourceExhausted, "OVERLOADED", &[]);
    assert_eq!(retry_delay(&details), Some(Duration::from_secs(1)));
    let others = client.clone().get(by("b", bad())).await.unwrap_err();
    assert_refused(&others, Code::InvalidArgument, "INVALID_FIELD", &[]);
    stuck.released.notify_one();
    first.await.unwrap().unwrap_err();
    let again = client.clone().get(by("a", bad())).await.unwrap_err();
    assert_refused(&again, Code::InvalidArgument, "INVALID_FIELD", &[]);
}

/// Work goes on when its caller has given up, and is still that caller's: else one caller could begin any number.
#[tokio::test]
async fn a_link_that_outlives_its_call_keeps_the_place_of_its_caller() {
    let stuck = Stuck::default();
    let mut world = World { accounts: Arc::new(stuck.clone()), ..World::with(willing_instagram()) };
    let narrow = Caller { max_in_flight: NonZeroU32::new(1), ..caller("a", &[Role::Admin], "*") };
    world.callers = Known::of([narrow]);
    world.begin("S", "shop/7").await;
    let mut client = world.serve().await.patient_client();
    let mut link = by("a", link_request("S", "shop/7"));
    link.metadata_mut().insert("grpc-timeout", "200m".parse().unwrap());
    let late = client.link(link).await.unwrap_err();
    assert_refused(&late, Code::DeadlineExceeded, "DEADLINE_EXCEEDED", &[]);
    stuck.entered.notified().await;
    let bad = || by("a", v1::GetRequest::default());
    let status = client.get(bad()).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "OVERLOADED", &[]);
    while client.get(bad()).await.unwrap_err().code() == Code::ResourceExhausted {
        stuck.released.notify_one();
    }
}

#[tokio::test]
async fn what_is_nobodys_call_needs_no_caller() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let mut world = World::new();
    world.callers = Known::of([]);
    let server = world.serve().await;
    let mut health = HealthClient::new(server.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap();
}
