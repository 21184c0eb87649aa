//! The ends of streams.

use std::time::Duration;

use futures_util::FutureExt as _;
use ig_application::{OpenWatchError, PurgeEvents, RightsLost, WatchEnd, WatchFrom, WatchMessage};
use ig_domain::ports::{Consumers as _, EventLog as _, NotAuthenticated, Restoration as _};
use ig_domain::{EventKind, EventPosition, OwnerScope};
use ig_test_support::builders::{START, parsed};
use rstest::rstest;

use super::{Scene, WINDOW, cursor, end, message, now, scope, told};

/// Both the stream and one whose client does not read end within a judgement.
#[rstest]
#[case::removed(RightsLost::Unauthenticated(NotAuthenticated::Unknown))]
#[case::without_role(RightsLost::RoleMissing)]
#[tokio::test]
async fn a_stream_ends_when_its_caller_loses_its_rights(#[case] lost: RightsLost) {
    let scene = Scene::new();
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Now).await;
    message(&mut stream);
    scene.rights.set(Err(lost.clone()));
    scene.pass(Duration::from_secs(5)).await;
    assert_eq!(stream.must_end().now_or_never(), Some(WatchEnd::Rights(lost.clone())));
    assert_eq!(end(&mut stream), Some(WatchEnd::Rights(lost)));
}

#[tokio::test]
async fn an_owner_that_a_caller_loses_is_no_longer_shown() {
    let scene = Scene::new();
    let (mut one, mut two) = (scene.link(1, "shop/7").await, scene.link(2, "shop/8").await);
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Now).await;
    message(&mut stream);
    scene.rights.set(Ok(scope(OwnerScope::only(parsed("shop/8")))));
    scene.pass(Duration::from_secs(5)).await;
    assert_eq!(told(&message(&mut stream)), [], "a heartbeat");
    scene.rename(&mut one, 1).await;
    scene.rename(&mut two, 1).await;
    scene.poll().await;
    assert_eq!(told(&message(&mut stream)), [(two.id, 2)]);
}

#[tokio::test]
async fn a_stream_ends_when_the_store_is_away() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Now).await;
    message(&mut stream);
    scene.store.set_away(true);
    scene.pass_unseen(Duration::from_secs(7));
    scene.poller.poll().await.unwrap_err();
    assert_eq!(told(&message(&mut stream)), [], "a heartbeat");
    assert_eq!(now(&mut stream), None);
    scene.pass_unseen(Duration::from_secs(1));
    assert_eq!(end(&mut stream), Some(WatchEnd::StoreAway));
    assert_eq!(stream.must_end().now_or_never(), Some(WatchEnd::StoreAway));
    // A store that comes back in time costs nothing.
    scene.store.set_away(false);
    scene.rename(&mut account, 1).await;
    scene.poll().await;
    assert_eq!(told(&message(&mut stream)), [(account.id, 2)]);
}

#[tokio::test]
async fn a_stream_ends_when_its_next_event_was_purged() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.rename(&mut account, 1).await;
    while scene.store.number_waiting().await.unwrap() > 0 {}
    scene.poll().await;
    let mut slow = scene.open(WatchFrom::Earliest).await;
    let mut done = scene.open(WatchFrom::Now).await;
    message(&mut done);
    scene.pass_unseen(WINDOW + Duration::from_secs(1));
    assert_eq!(PurgeEvents::new(&scene.watch).execute_round().await.unwrap(), 2);
    scene.poll().await;
    assert_eq!(end(&mut slow), Some(WatchEnd::CursorExpired));
    message(&mut done);
    // On the last event that was purged a cursor is good.
    scene.rename(&mut account, 1).await;
    scene.poll().await;
    assert_eq!(told(&message(&mut done)), [(account.id, 3)]);
}

#[tokio::test]
async fn streams_end_when_a_new_log_begins() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Now).await;
    let old = cursor(&message(&mut stream));
    scene.store.begin_new_log().await.unwrap();
    scene.rename(&mut account, 1).await;
    scene.poll().await;
    assert_eq!(stream.must_end().now_or_never(), Some(WatchEnd::CursorExpired));
    assert_eq!(end(&mut stream), Some(WatchEnd::CursorExpired));
    let refused = scene.try_open(scene.command(WatchFrom::After(old))).await.err();
    assert!(matches!(refused, Some(OpenWatchError::CursorExpired)), "{refused:?}");
    let mut anew = scene.open(WatchFrom::Earliest).await;
    assert_eq!(told(&message(&mut anew)), [(account.id, 2)]);
}

/// Its cursor is good in the store before the poller has looked at that log.
#[tokio::test]
async fn a_stream_of_a_new_log_goes_on_once_the_poller_has_looked() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    scene.store.begin_new_log().await.unwrap();
    let mut anew = scene.open(WatchFrom::Now).await;
    let first = message(&mut anew);
    assert_eq!((first.events.len(), first.caught_up), (0, false));
    scene.rename(&mut account, 1).await;
    assert_eq!(now(&mut anew), None);
    scene.poll().await;
    assert_eq!(told(&message(&mut anew)), [(account.id, 2)]);
    scene.store.begin_new_log().await.unwrap();
    scene.poll().await;
    assert_eq!(end(&mut anew), Some(WatchEnd::CursorExpired));
}

/// Nobody would give its consumer back.
#[tokio::test]
async fn a_process_that_stops_opens_no_stream() {
    let scene = Scene::new();
    scene.poll().await;
    scene.watch.stop.cancel();
    scene.watch.holds.run(&scene.watch.stop).await;
    let refused = scene.open_consumer("feed", WatchFrom::Now).await.err();
    assert!(matches!(refused, Some(OpenWatchError::Stopped)), "{refused:?}");
    assert!(scene.store.list(WINDOW).await.unwrap().is_empty());
}

/// The last message tells a cursor that no message told, and a blocked stream learns of the stop, too.
#[tokio::test]
async fn a_stop_ends_streams_with_their_last_cursor() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    scene.see_only(&[EventKind::Unlinked]);
    let mut hiding = scene.open(WatchFrom::Now).await;
    scene.rights.set(Ok(scope(OwnerScope::everyone())));
    let mut told = scene.open(WatchFrom::Now).await;
    let first = cursor(&message(&mut hiding));
    message(&mut told);
    scene.rename(&mut account, 1).await;
    scene.poll().await;
    assert_eq!(now(&mut hiding), None);
    message(&mut told);
    scene.watch.stop.cancel();
    let Some(WatchEnd::Stopped { last: Some(last) }) = end(&mut hiding) else { panic!("no last") };
    let WatchMessage { events, cursor, .. } = last;
    assert_eq!((events.len(), cursor.unwrap().number), (0, first.number + 1));
    assert_eq!(end(&mut told), Some(WatchEnd::Stopped { last: None }));
    assert_eq!(told.must_end().now_or_never(), Some(WatchEnd::Stopped { last: None }));
}

#[tokio::test]
async fn a_stream_is_refused_behind_what_is_not_kept() {
    let scene = Scene::new();
    scene.link(1, "").await;
    scene.link(2, "").await;
    scene.poll().await;
    let position = cursor(&message(&mut scene.open(WatchFrom::Now).await));
    let elsewhere = cursor(&message(&mut Scene::new().open(WatchFrom::Now).await));
    assert_ne!(elsewhere.log, position.log);
    let other_log = EventPosition { log: elsewhere.log, ..position };
    let other_event = EventPosition { number: position.number - 1, ..position };
    let coming = EventPosition { number: position.number + 1, ..position };
    let before = START - WINDOW - Duration::from_secs(1);
    let places = [other_log, other_event, coming].map(WatchFrom::After);
    for from in places.into_iter().chain([WatchFrom::Since(before)]) {
        let refused = scene.try_open(scene.command(from)).await.err();
        assert!(matches!(refused, Some(OpenWatchError::CursorExpired)), "{from:?}: {refused:?}");
    }
}
