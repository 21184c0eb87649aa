//! `Watch` and `CommitWatch`.

mod consumers;
mod rights;
mod slow_reader;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use ig_domain::InstagramAccount;
use ig_domain::ports::{AccountWriter as _, MockAccountReader};
use ig_proto::v1;
use ig_proto::v1::watch_request::From;
use ig_test_support::builders::START;
use tokio::time::Instant;
use tonic::{Code, Request, Status, Streaming};

use crate::two_owners::link_request;
use crate::world::{
    TonicClient, World, assert_refused, bad_fields, retry_delay, willing_instagram,
};

/// A world whose Instagram redeems every code, with an account of `shop/7`.
pub(crate) async fn world() -> (World, TonicClient) {
    let world = World::with(willing_instagram());
    let client = linked(&world).await;
    (world, client)
}

/// Serves, and links an account for `shop/7` as the caller `root`.
async fn linked(world: &World) -> TonicClient {
    world.begin("S", "shop/7").await;
    let mut client = world.client().await;
    client.link(crate::two_owners::by("root", link_request("S", "shop/7"))).await.unwrap();
    client
}

/// The account of the world.
fn account(world: &World) -> InstagramAccount {
    world.store.accounts().remove(0).0
}

/// Changes the account of the world.
async fn rename(world: &World, name: &str) {
    let former = account(world);
    let changed = InstagramAccount { name: Some(name.to_owned()), ..former.clone() };
    let changed = changed.succeeding(&former, START);
    world.store.update(&changed, &former, None).await.unwrap();
}

fn from(from: From) -> v1::WatchRequest {
    v1::WatchRequest { from: Some(from), ..v1::WatchRequest::default() }
}

fn earliest() -> v1::WatchRequest {
    from(From::Start(v1::WatchStart::Earliest.into()))
}

fn after(cursor: &str) -> v1::WatchRequest {
    from(From::After(cursor.to_owned()))
}

async fn next(stream: &mut Streaming<v1::WatchResponse>) -> v1::WatchResponse {
    stream.message().await.unwrap().expect("the stream goes on")
}

/// The next message that has events.
pub(crate) async fn next_events(stream: &mut Streaming<v1::WatchResponse>) -> v1::WatchResponse {
    loop {
        let response = next(stream).await;
        if !response.events.is_empty() {
            return response;
        }
    }
}

/// The status that ends the stream.
pub(crate) async fn end(stream: &mut Streaming<v1::WatchResponse>) -> Status {
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended well"),
            Err(status) => return status,
        }
    }
}

#[tokio::test]
async fn each_change_is_told_with_the_account_as_it_is_now_and_a_cursor_resumes_after_it() {
    let (world, mut client) = world().await;
    let mut stream = client.watch(earliest()).await.unwrap().into_inner();
    let first = next_events(&mut stream).await;
    let [linked] = &first.events[..] else { panic!("{first:?}") };
    let shown = &first.accounts[0];
    assert_eq!((linked.kind(), linked.cause.as_str()), (v1::EventKind::Linked, "FIRST"));
    assert_eq!((linked.revision, linked.changed_fields.clone()), (1, None));
    assert_eq!(linked.owner, "shop/7");
    assert_eq!(linked.account_id, shown.account_id);
    assert_eq!(linked.professional_account_id, shown.professional_account_id);
    assert!(linked.event_time.is_some() && first.cursor.len() <= 256);

    rename(&world, "Harbour").await;
    let second = next_events(&mut stream).await;
    let [changed] = &second.events[..] else { panic!("{second:?}") };
    assert_eq!((changed.kind(), changed.cause.as_str()), (v1::EventKind::Changed, ""));
    assert_eq!(changed.changed_fields.clone().unwrap().paths, ["name"]);
    assert_eq!(second.accounts[0].name.as_deref(), Some("Harbour"));
    assert_eq!(second.accounts[0].revision, changed.revision);

    drop(stream);
    let mut resumed = client.watch(after(&first.cursor)).await.unwrap().into_inner();
    let again = next_events(&mut resumed).await;
    assert_eq!(again.events, second.events);

    let account_id = linked.account_id.clone();
    let unlink = v1::UnlinkRequest { account_id, ..v1::UnlinkRequest::default() };
    client.unlink(unlink).await.unwrap();
    let gone = next_events(&mut resumed).await;
    assert_eq!((gone.events[0].kind(), gone.events[0].revision), (v1::EventKind::Unlinked, 3));
    assert_eq!(gone.events[0].cause, "UNLINK");
    assert_eq!(gone.accounts, []);
}

#[tokio::test]
async fn kinds_and_owner_choose_and_the_cursor_moves_on_all_the_same() {
    let (world, mut client) = world().await;
    let unlinked = vec![v1::EventKind::Unlinked.into()];
    for request in [
        v1::WatchRequest { kinds: unlinked, ..earliest() },
        v1::WatchRequest { owner: Some("cafe/1".to_owned()), ..earliest() },
        v1::WatchRequest { owner: Some(String::new()), ..earliest() },
    ] {
        let mut stream = client.watch(request).await.unwrap().into_inner();
        let mut response = next(&mut stream).await;
        while !response.caught_up {
            assert_eq!(response.events, []);
            response = next(&mut stream).await;
        }
        assert_eq!(response.events, []);
        let mut all = client.watch(after(&response.cursor)).await.unwrap().into_inner();
        assert_eq!(next(&mut all).await.events, [], "the cursor stayed behind");
    }
    let shop = v1::WatchRequest { owner: Some("shop/7".to_owned()), ..earliest() };
    let mut stream = client.watch(shop).await.unwrap().into_inner();
    assert_eq!(next_events(&mut stream).await.events.len(), 1);
    rename(&world, "Harbour").await;
    assert_eq!(next_events(&mut stream).await.events.len(), 1);
}

#[tokio::test]
async fn list_then_watch_misses_nothing_and_repeats_nothing_that_was_there() {
    let (world, mut client) = world().await;
    let listed = client.list(v1::ListRequest::default()).await.unwrap().into_inner();
    rename(&world, "Harbour").await;
    let mut stream = client.watch(after(&listed.watch_cursor)).await.unwrap().into_inner();
    let told = next_events(&mut stream).await;
    assert_eq!(told.events[0].kind(), v1::EventKind::Changed);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_is_told_every_fifteen_seconds_that_it_lives() {
    let (_world, mut client) = world().await;
    let mut stream = client.watch(v1::WatchRequest::default()).await.unwrap().into_inner();
    while !next(&mut stream).await.caught_up {}
    for _ in 0..3 {
        let begin = Instant::now();
        let heartbeat = next(&mut stream).await;
        assert!(begin.elapsed() <= Duration::from_secs(15), "{:?}", begin.elapsed());
        assert!(heartbeat.events.is_empty() && heartbeat.caught_up, "{heartbeat:?}");
        assert_ne!(heartbeat.cursor, "");
    }
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_named() {
    let (_world, mut client) = world().await;
    let wrong = v1::WatchRequest {
        consumer: "Not a name".to_owned(),
        owner: Some("\n".to_owned()),
        kinds: vec![0],
        ..after("")
    };
    let status = client.watch(wrong).await.unwrap_err();
    let details = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELD", &[]);
    assert_eq!(bad_fields(&details), ["after", "consumer", "owner", "kinds[0]"]);
    let status = client.commit_watch(v1::CommitWatchRequest::default()).await.unwrap_err();
    let details = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELD", &[]);
    assert_eq!(bad_fields(&details), ["consumer", "cursor"]);
}

#[tokio::test]
async fn a_cursor_of_another_log_is_expired_and_so_is_a_moment_before_the_window() {
    let (_world, mut client) = world().await;
    let (_, mut other) = world_with_another_log().await;
    let listed = other.list(v1::ListRequest::default()).await.unwrap().into_inner();
    let long_ago = prost_types::Timestamp { seconds: 0, nanos: 0 };
    for request in [after(&listed.watch_cursor), from(From::Since(long_ago))] {
        let status = client.watch(request).await.unwrap_err();
        assert_refused(&status, Code::OutOfRange, "CURSOR_EXPIRED", &[]);
    }
    let commit =
        v1::CommitWatchRequest { consumer: "copy".to_owned(), cursor: listed.watch_cursor.clone() };
    let status = client.commit_watch(commit).await.unwrap_err();
    assert_refused(&status, Code::OutOfRange, "CURSOR_EXPIRED", &[]);
}

/// Another world, whose log is another one.
async fn world_with_another_log() -> (World, TonicClient) {
    use ig_domain::ports::Restoration as _;
    let (world, client) = world().await;
    world.store.begin_new_log().await.unwrap();
    (world, client)
}

#[tokio::test]
async fn streams_have_places_of_their_own_and_no_more_than_sixteen() {
    let (_world, mut client) = world().await;
    let mut open = Vec::new();
    let status = loop {
        match client.watch(v1::WatchRequest::default()).await {
            Ok(stream) => open.push(stream),
            Err(status) => break status,
        }
    };
    assert_eq!(open.len(), 16);
    let details = assert_refused(&status, Code::ResourceExhausted, "OVERLOADED", &[]);
    assert_eq!(retry_delay(&details), Some(Duration::from_secs(1)));
    client.list(v1::ListRequest::default()).await.unwrap();
    open.pop();
    while client.watch(v1::WatchRequest::default()).await.is_err() {}
}

#[tokio::test]
async fn a_stop_ends_streams_at_once_and_says_so() {
    let world = World::new();
    let server = world.serve().await;
    let mut client = server.client().await;
    let mut stream = client.watch(v1::WatchRequest::default()).await.unwrap().into_inner();
    next(&mut stream).await;
    server.stop.cancel();
    let status = end(&mut stream).await;
    let details = assert_refused(&status, Code::Unavailable, "SHUTTING_DOWN", &[]);
    assert!(retry_delay(&details).is_some());
    server.task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_ends_streams_in_time() {
    let (world, mut client) = world().await;
    let mut stream = client.watch(v1::WatchRequest::default()).await.unwrap().into_inner();
    while !next(&mut stream).await.caught_up {}
    let begin = Instant::now();
    world.store.set_away(true);
    let status = end(&mut stream).await;
    assert_refused(&status, Code::Unavailable, "STORE_UNAVAILABLE", &[]);
    assert!(begin.elapsed() <= Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_panic_ends_its_own_stream_only_and_does_not_end_it_well() {
    let (world, mut client) = world().await;
    // From here on its event has a number, so that the next server's feed begins behind it.
    next_events(&mut client.watch(earliest()).await.unwrap().into_inner()).await;
    let mut accounts = MockAccountReader::new();
    accounts.expect_find_by_ids().returning(|_| panic!("a planted panic"));
    let world = World { accounts: Arc::new(accounts), ..world };
    let mut client = world.client().await;
    let mut other = client.watch(v1::WatchRequest::default()).await.unwrap().into_inner();
    let mut stream = client.watch(earliest()).await.unwrap().into_inner();
    let status = end(&mut stream).await;
    assert_refused(&status, Code::Internal, "INTERNAL", &[]);
    assert!(!status.message().contains("planted"), "{}", status.message());
    while !next(&mut other).await.caught_up {}
}

/// A deadline that the caller names bounds the way to the stream's first message only.
#[tokio::test(start_paused = true)]
async fn a_stream_has_no_deadline_of_ours() {
    let (world, mut client) = world().await;
    let mut request = Request::new(v1::WatchRequest::default());
    request.set_timeout(Duration::from_secs(5));
    let mut stream = client.watch(request).await.unwrap().into_inner();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_mins(10) {
        next(&mut stream).await;
    }
    rename(&world, "Harbour").await;
    next_events(&mut stream).await;
}
