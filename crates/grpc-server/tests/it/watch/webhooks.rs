//! Updates that came by webhook, and who sees them.

use ig_domain::Role;
use ig_domain::ports::Webhooks as _;
use ig_proto::v1;
use ig_test_support::builders::received;
use ig_test_support::callers::caller;
use prost_types::Timestamp;
use rstest::rstest;
use tonic::Code;

use super::rights::{Edited, root};
use super::{account, earliest, end, linked, next, next_events};
use crate::two_owners::by;
use crate::world::{TonicClient, World, assert_refused, willing_instagram};

/// A world with a caller `follower` of these roles, and an account that an update came to.
async fn world(roles: &[Role]) -> (World, std::sync::Arc<Edited>, TonicClient) {
    let callers = Edited::of([root(), caller("follower", roles, "shop/*")]);
    let world = World { callers: callers.clone(), ..World::with(willing_instagram()) };
    let client = linked(&world).await;
    world.store.store(&[received(&account(&world), 1, 10)]).await.unwrap();
    (world, callers, client)
}

fn webhooks() -> v1::WatchRequest {
    v1::WatchRequest { kinds: vec![v1::EventKind::Webhook.into()], ..earliest() }
}

#[tokio::test(start_paused = true)]
async fn an_update_comes_with_all_that_it_tells() {
    let (world, _, mut client) = world(&[Role::Webhook]).await;
    let mut stream = client.watch(by("follower", webhooks())).await.unwrap().into_inner();
    let response = next_events(&mut stream).await;
    let [event] = &response.events[..] else { panic!("{response:?}") };
    let account = account(&world);
    assert_eq!(event.kind(), v1::EventKind::Webhook);
    assert_eq!(event.professional_account_id, account.professional_account_id.as_str());
    assert_eq!((event.owner.as_str(), event.revision), ("shop/7", account.revision));
    let update = received(&account, 1, 10).update;
    let expected = v1::WebhookEvent {
        webhook_id: update.id.to_string(),
        field: "messages".to_owned(),
        direction: v1::Direction::Inbound.into(),
        peer_id: "90001".to_owned(),
        webhook_time: Some(Timestamp { seconds: update.time.unix_timestamp(), nanos: 0 }),
        payload: vec![b'x'; 10],
        payload_size: 10,
    };
    assert_eq!(event.webhook, Some(expected));
    assert!(response.accounts.is_empty(), "of a caller that may not read");
}

#[rstest]
#[case::webhook(&[Role::Webhook], &[v1::EventKind::Webhook])]
#[case::read(&[Role::Read], &[v1::EventKind::Linked])]
#[case::both(&[Role::Read, Role::Webhook], &[v1::EventKind::Linked, v1::EventKind::Webhook])]
#[case::admin(&[Role::Admin], &[v1::EventKind::Linked, v1::EventKind::Webhook])]
#[tokio::test(start_paused = true)]
async fn each_role_sees_its_kinds(#[case] roles: &[Role], #[case] kinds: &[v1::EventKind]) {
    let (_world, _, mut client) = world(roles).await;
    let mut stream = client.watch(by("follower", earliest())).await.unwrap().into_inner();
    let mut told = Vec::new();
    loop {
        let response = next(&mut stream).await;
        told.extend(response.events.iter().map(v1::Event::kind));
        if response.caught_up {
            break;
        }
    }
    assert_eq!(told, kinds);
}

#[rstest]
#[case::of_updates(&[Role::Read], v1::EventKind::Webhook)]
#[case::of_accounts(&[Role::Webhook], v1::EventKind::Linked)]
#[tokio::test(start_paused = true)]
async fn a_kind_that_the_roles_do_not_allow_is_refused(
    #[case] roles: &[Role],
    #[case] kind: v1::EventKind,
) {
    let (world, _, mut client) = world(roles).await;
    world.store.set_away(true);
    let request = v1::WatchRequest { kinds: vec![kind.into()], ..earliest() };
    let status = client.watch(by("follower", request)).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, "PERMISSION_DENIED", &[]);
}

/// One that named the kind ends with its role; one that named none goes on with what is left.
#[tokio::test(start_paused = true)]
async fn a_stream_shows_no_update_once_the_role_is_gone() {
    let (world, callers, mut client) = world(&[Role::Read, Role::Webhook]).await;
    let mut named = client.watch(by("follower", webhooks())).await.unwrap().into_inner();
    let mut all = client.watch(by("follower", earliest())).await.unwrap().into_inner();
    next_events(&mut named).await;
    next_events(&mut all).await;
    callers.edit([root(), caller("follower", &[Role::Read], "shop/*")]);
    assert_refused(&end(&mut named).await, Code::PermissionDenied, "PERMISSION_DENIED", &[]);
    world.store.store(&[received(&account(&world), 2, 10)]).await.unwrap();
    super::rename(&world, "Harbour").await;
    let response = next_events(&mut all).await;
    let kinds: Vec<_> = response.events.iter().map(v1::Event::kind).collect();
    assert_eq!(kinds, [v1::EventKind::Changed]);
}
