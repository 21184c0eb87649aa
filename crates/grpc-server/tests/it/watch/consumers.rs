//! Named consumers.

use std::time::Duration;

use ig_domain::Role;
use ig_proto::v1;
use ig_test_support::callers::{Known, caller};
use tokio::time::timeout;
use tonic::Code;

use super::{earliest, from, linked, next, next_events, rename, world};
use crate::two_owners::by;
use crate::world::{World, assert_refused, willing_instagram};

/// Time within which something happens at once, on a busy machine too.
const AT_ONCE: Duration = Duration::from_secs(1);

fn consumer(name: &str) -> v1::WatchRequest {
    v1::WatchRequest { consumer: name.to_owned(), ..v1::WatchRequest::default() }
}

fn earliest_of(name: &str) -> v1::WatchRequest {
    v1::WatchRequest { consumer: name.to_owned(), ..earliest() }
}

fn commit(name: &str, cursor: &str) -> v1::CommitWatchRequest {
    v1::CommitWatchRequest { consumer: name.to_owned(), cursor: cursor.to_owned() }
}

#[tokio::test]
async fn one_stream_holds_a_consumer_and_another_one_goes_on_where_it_committed_once_it_ends() {
    let (world, mut client) = world().await;
    let mut first = client.watch(earliest_of("copy")).await.unwrap().into_inner();
    let linked = next_events(&mut first).await;
    client.commit_watch(commit("copy", &linked.cursor)).await.unwrap();
    rename(&world, "Harbour").await;
    let changed = next_events(&mut first).await;

    let mut second = client.watch(consumer("copy")).await.unwrap().into_inner();
    let waiting = next(&mut second).await;
    assert_eq!((waiting.cursor.as_str(), waiting.caught_up), ("", false));
    drop(first);
    let told = timeout(AT_ONCE, next_events(&mut second)).await.expect("it takes over at once");
    assert_eq!(told.events, changed.events, "from where the first one committed");
}

#[tokio::test]
async fn an_older_commit_changes_nothing_and_from_goes_back() {
    let (world, mut client) = world().await;
    let mut stream = client.watch(earliest_of("copy")).await.unwrap().into_inner();
    let linked = next_events(&mut stream).await;
    rename(&world, "Harbour").await;
    let changed = next_events(&mut stream).await;
    drop(stream);
    for cursor in [&changed.cursor, &linked.cursor] {
        client.commit_watch(commit("copy", cursor)).await.unwrap();
    }
    let mut resumed = client.watch(consumer("copy")).await.unwrap().into_inner();
    let mut response = next(&mut resumed).await;
    while !response.caught_up {
        response = next(&mut resumed).await;
    }
    assert_eq!(response.events, []);
    drop(resumed);
    let mut rewound = client.watch(earliest_of("copy")).await.unwrap().into_inner();
    assert_eq!(next_events(&mut rewound).await.events[0], linked.events[0]);
}

#[tokio::test]
async fn a_consumer_that_never_committed_is_told_to_list_and_another_callers_is_another() {
    let mut world = World::with(willing_instagram());
    let callers = ["root", "other"].map(|name| caller(name, &[Role::Admin], "*"));
    world.callers = Known::of(callers);
    let mut client = linked(&world).await;
    let mut held = client.watch(by("root", earliest_of("copy"))).await.unwrap().into_inner();
    next_events(&mut held).await;
    let status = client.watch(by("other", consumer("copy"))).await.unwrap_err();
    assert_refused(&status, Code::OutOfRange, "CURSOR_EXPIRED", &[]);
    let mut others = client.watch(by("other", earliest_of("copy"))).await.unwrap().into_inner();
    timeout(AT_ONCE, next_events(&mut others)).await.expect("nobody else holds it");
}

#[tokio::test]
async fn a_caller_has_no_more_than_32_consumers() {
    let (_world, mut client) = world().await;
    let listed = client.list(v1::ListRequest::default()).await.unwrap().into_inner();
    for number in 0..32 {
        let name = format!("consumer-{number}");
        client.commit_watch(commit(&name, &listed.watch_cursor)).await.unwrap();
    }
    let status = client.commit_watch(commit("further", &listed.watch_cursor)).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "OVERLOADED", &[]);
    let start = v1::watch_request::From::Start(v1::WatchStart::Now.into());
    let further = v1::WatchRequest { consumer: "further".to_owned(), ..from(start) };
    let status = client.watch(further).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "OVERLOADED", &[]);
}
