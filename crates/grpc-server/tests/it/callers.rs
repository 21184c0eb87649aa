//! Rights of callers, by RPC and by owner.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ig_domain::{Caller, Role};
use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use ig_test_support::callers::{Known, caller};
use rstest::rstest;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::two_owners::{Target, TwoOwners, by, link_request};
use crate::world::{Stuck, World, assert_refused, retry_delay, willing_instagram};

const READ: &[Role] = &[Role::Read, Role::Admin];
const LINK: &[Role] = &[Role::Link, Role::Admin];
const TOKEN: &[Role] = &[Role::Token, Role::Admin];
const LINK_OR_TOKEN: &[Role] = &[Role::Link, Role::Token, Role::Admin];
const READ_OR_WEBHOOK: &[Role] = &[Role::Read, Role::Webhook, Role::Admin];
const ADMIN: &[Role] = &[Role::Admin];

/// An RPC, the roles that open it, and two answers.
type Right = (&'static str, &'static [Role], [Option<&'static str>; 2]);

/// Roles that open each RPC, and its answers about an account of an owner that is none of the caller's: where no owner
/// is named, and where one of the caller's is.
const RIGHTS: &[Right] = &[
    ("BeginLink", LINK, [Some("PERMISSION_DENIED"), Some("ACCOUNT_NOT_FOUND")]),
    ("Link", LINK, [Some("PERMISSION_DENIED"), Some("STATE_REJECTED")]),
    ("Get", READ, [Some("ACCOUNT_NOT_FOUND"), Some("ACCOUNT_NOT_FOUND")]),
    ("BatchGet", READ, [None, None]),
    ("List", READ, [None, None]),
    ("Refresh", LINK_OR_TOKEN, [Some("ACCOUNT_NOT_FOUND"), Some("ACCOUNT_NOT_FOUND")]),
    ("FetchAccessToken", TOKEN, [Some("ACCOUNT_NOT_FOUND"), Some("ACCOUNT_NOT_FOUND")]),
    ("Unlink", ADMIN, [Some("ACCOUNT_NOT_FOUND"), Some("ACCOUNT_NOT_FOUND")]),
    ("Import", ADMIN, [Some("PERMISSION_DENIED"), None]),
    ("Watch", READ_OR_WEBHOOK, [None, None]),
    ("CommitWatch", READ_OR_WEBHOOK, [None, None]),
];

/// The RPC that is about no account and no owner.
const NAMES_NO_OWNER: &str = "CommitWatch";

#[test]
fn every_rpc_has_its_row() {
    let rows: Vec<_> = RIGHTS.iter().map(|(rpc, ..)| *rpc).collect();
    assert_eq!(rows, ig_proto::RPCS);
}

#[tokio::test]
async fn a_role_opens_its_calls_and_no_others_and_only_for_its_owners() {
    for &role in Role::ALL {
        assert_rights(role).await;
    }
}

async fn assert_rights(role: Role) {
    for (rpc, roles, [unnamed, crossed]) in RIGHTS {
        for target in [Target::Own, Target::Other, Target::Unnamed, Target::Crossed] {
            let mut owners = TwoOwners::with(&[role]).await;
            let expected = match target {
                _ if !roles.contains(&role) => Some("PERMISSION_DENIED"),
                Target::Own => None,
                Target::Other if *rpc == NAMES_NO_OWNER => None,
                Target::Other => Some("PERMISSION_DENIED"),
                Target::Unnamed => *unnamed,
                Target::Crossed => *crossed,
            };
            let answer = owners.call(rpc, target).await;
            let told =
                answer.as_ref().err().map(|status| status.get_details_error_info().unwrap().reason);
            assert_eq!(told.as_deref(), expected, "{rpc} of {target:?} by {role}: {answer:?}");
            let shown = answer.unwrap_or_default();
            let own = &owners.shop.professional_account_id;
            assert!(shown.iter().all(|id| id == own), "{rpc} of {target:?} by {role}: {shown:?}");
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
    let mut owners = TwoOwners::with(&[Role::Admin]).await;
    let mut request = Request::new(v1::ListRequest::default());
    if let Some(value) = authorization {
        request.metadata_mut().insert("authorization", value.parse().unwrap());
    }
    let status = owners.client.list(request).await.unwrap_err();
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
    let server = world.serve().await;
    let (client, channel) = (server.client().await, server.channel().await);
    let key = Key::AccountId("00000000-0000-0000-0000-000000000007".to_owned());
    let get = v1::GetRequest { key: Some(key), owner: None };
    let first = tokio::spawn({
        let (mut client, get) = (client.clone(), get.clone());
        async move { client.get(by("a", get)).await }
    });
    stuck.entered.notified().await;
    // A problem of a call shows only once it is let in.
    let bad = v1::GetRequest::default;
    // Streams have room of their own.
    for rpc in ig_proto::RPCS.iter().filter(|rpc| **rpc != "Watch") {
        let status = call_empty(channel.clone(), rpc, "a").await;
        let details = assert_refused(&status, Code::ResourceExhausted, "OVERLOADED", &[]);
        assert_eq!(retry_delay(&details), Some(Duration::from_secs(1)), "{rpc}");
    }
    let others = client.clone().get(by("b", bad())).await.unwrap_err();
    assert_refused(&others, Code::InvalidArgument, "INVALID_FIELD", &[]);
    stuck.released.notify_one();
    first.await.unwrap().unwrap_err();
    let again = client.clone().get(by("a", bad())).await.unwrap_err();
    assert_refused(&again, Code::InvalidArgument, "INVALID_FIELD", &[]);
}

/// Calls an RPC with an empty message, as the caller with this token.
async fn call_empty(channel: Channel, rpc: &str, token: &str) -> Status {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = format!("/{SERVICE_NAME}/{rpc}").parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    client.unary(by(token, ()), path, codec).await.unwrap_err()
}

/// However many a caller makes, one is at the store at a time; its single reads and others' calls pass them by.
#[tokio::test]
async fn reads_of_many_accounts_wait_for_their_callers_turn_and_hold_up_nothing_else() {
    let stuck = Stuck::default();
    let mut world = World { accounts: Arc::new(stuck.clone()), ..World::new() };
    world.callers = Known::of([caller("a", &[Role::Admin], "*"), caller("b", &[Role::Admin], "*")]);
    let client = world.client().await;
    let id = "00000000-0000-0000-0000-000000000007".to_owned();
    let many = |name: &'static str| {
        let request = v1::BatchGetRequest { account_ids: vec![id.clone()], ..Default::default() };
        let mut client = client.clone();
        tokio::spawn(async move { client.batch_get(by(name, request)).await })
    };
    let begun = &stuck.bulk_reads.0;
    let calls: Vec<_> = (0..5).map(|_| many("a")).collect();
    begun.acquire().await.unwrap().forget();

    let get = v1::GetRequest { key: Some(Key::AccountId(id.clone())), owner: None };
    let single = tokio::spawn({
        let mut client = client.clone();
        async move { client.get(by("a", get)).await }
    });
    stuck.entered.notified().await;
    let others = many("b");
    begun.acquire().await.unwrap().forget();
    assert_eq!(begun.available_permits(), 0, "a second one of the same caller");

    stuck.released.notify_waiters();
    assert_eq!(single.await.unwrap().unwrap_err().code(), Code::NotFound);
    others.await.unwrap().unwrap();
    for call in calls {
        while !call.is_finished() {
            stuck.released.notify_one();
            tokio::task::yield_now().await;
        }
        call.await.unwrap().unwrap();
    }
}

/// Work goes on when its caller has given up, and is still that caller's: else one caller could begin any number.
#[tokio::test]
async fn a_link_that_outlives_its_call_keeps_the_place_of_its_caller() {
    let stuck = Stuck::default();
    let mut world = World { accounts: Arc::new(stuck.clone()), ..World::with(willing_instagram()) };
    let narrow = Caller { max_in_flight: NonZeroU32::new(1), ..caller("a", &[Role::Admin], "*") };
    world.callers = Known::of([narrow]);
    world.begin("S", "shop/7").await;
    let mut client = world.serve().await.client_without_deadline();
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
