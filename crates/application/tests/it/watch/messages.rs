//! What a stream sends, and when.

use std::time::Duration;

use ig_application::WatchFrom;
use ig_domain::ports::{AccountWriter as _, EventLog as _};
use ig_domain::{EventKind, OwnerScope};
use ig_test_support::builders::parsed;

use super::{Scene, cursor, message, now, scope, told};

#[tokio::test]
async fn events_come_in_their_order_each_with_its_account_as_it_is() {
    let scene = Scene::new();
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Earliest).await;
    let (mut one, two) = (scene.link(1, "shop/7").await, scene.link(2, "").await);
    scene.rename(&mut one, 1).await;
    scene.poll().await;
    let sent = message(&mut stream);
    assert_eq!(told(&sent), [(one.id, 1), (two.id, 1), (one.id, 2)]);
    assert_eq!(sent.accounts.iter().map(|view| &view.account).collect::<Vec<_>>(), [&one, &two]);
    assert!(sent.caught_up);
    scene.store.remove(one.id, 2).await.unwrap();
    scene.poll().await;
    let sent = message(&mut stream);
    assert_eq!(told(&sent), [(one.id, 3)]);
    assert!(sent.accounts.is_empty(), "the account is gone");
    // A stream that resumes gets what it has not seen.
    let mut resumed = scene.open(WatchFrom::After(cursor(&sent))).await;
    assert!(message(&mut resumed).events.is_empty());
}

/// An account that was read for another message is not shown as it was before its event.
#[tokio::test]
async fn an_account_is_at_least_as_new_as_its_event() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Now).await;
    message(&mut stream);
    for _ in 0..3 {
        scene.rename(&mut account, 1).await;
        scene.poll().await;
        assert_eq!(message(&mut stream).accounts[0].account, account);
    }
}

#[tokio::test]
async fn the_first_message_comes_at_once_and_heartbeats_follow() {
    let scene = Scene::new();
    scene.link(1, "").await;
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Now).await;
    let first = message(&mut stream);
    assert!(first.events.is_empty() && first.caught_up);
    scene.pass(Duration::from_secs(4)).await;
    assert_eq!(now(&mut stream), None);
    scene.pass(Duration::from_secs(1)).await;
    assert_eq!(message(&mut stream), first);
    assert_eq!(now(&mut stream), None);
}

#[tokio::test]
async fn a_stream_is_caught_up_only_by_a_look_of_now() {
    let scene = Scene::new();
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Now).await;
    scene.poll().await;
    scene.pass_unseen(Duration::from_millis(251));
    assert!(!message(&mut stream).caught_up);
    assert_eq!(now(&mut stream), None);
    scene.poll().await;
    assert!(message(&mut stream).caught_up, "the news is a message of its own");
    assert_eq!(now(&mut stream), None);
}

/// On a store that is not fast a look is a little too old when a heartbeat is due: it waits for the next, not for ever.
#[tokio::test]
async fn a_heartbeat_says_that_a_stream_is_caught_up_where_a_look_of_now_says_so() {
    let scene = Scene::new();
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Now).await;
    assert!(message(&mut stream).caught_up);
    scene.pass_unseen(Duration::from_secs(5));
    assert_eq!(now(&mut stream), None);
    scene.poll().await;
    assert!(message(&mut stream).caught_up);
    scene.pass_unseen(Duration::from_millis(5499));
    assert_eq!(now(&mut stream), None);
    scene.pass_unseen(Duration::from_millis(1));
    assert!(!message(&mut stream).caught_up);
}

#[tokio::test]
async fn what_was_committed_before_a_stream_was_opened_is_sent_before_it_is_caught_up() {
    let scene = Scene::new();
    scene.poll().await;
    let account = scene.link(1, "").await;
    scene.pass_unseen(Duration::from_millis(1));
    let mut stream = scene.open(WatchFrom::Earliest).await;
    assert!(!message(&mut stream).caught_up);
    scene.poll().await;
    let sent = message(&mut stream);
    assert_eq!(told(&sent), [(account.id, 1)]);
    assert!(sent.caught_up);
}

/// Events that a filter hides cost no message, and a heartbeat's cursor has passed them.
#[rstest::rstest]
#[case::of_another_owner(true)]
#[case::of_another_kind(false)]
#[tokio::test]
async fn the_cursor_moves_on_while_a_filter_hides_everything(#[case] by_owner: bool) {
    let scene = Scene::new();
    let mut hidden = scene.link(1, "shop/8").await;
    scene.poll().await;
    if by_owner {
        scene.rights.set(Ok(scope(OwnerScope::only(parsed("shop/7")))));
    } else {
        scene.see_only(&[EventKind::Unlinked]);
    }
    let mut stream = scene.open(WatchFrom::Now).await;
    let first = message(&mut stream);
    scene.rename(&mut hidden, 3).await;
    scene.poll().await;
    assert_eq!(now(&mut stream), None);
    scene.pass(Duration::from_secs(5)).await;
    let heartbeat = message(&mut stream);
    assert!(heartbeat.events.is_empty() && heartbeat.accounts.is_empty());
    assert_eq!(cursor(&heartbeat).number, cursor(&first).number + 3);
}

#[tokio::test]
async fn accounts_are_left_out_where_they_are_not_shown() {
    let scene = Scene::new();
    scene.poll().await;
    scene
        .rights
        .set(Ok(super::WatchScope { shows_accounts: false, ..scope(OwnerScope::everyone()) }));
    let mut stream = scene.open(WatchFrom::Now).await;
    message(&mut stream);
    scene.link(1, "").await;
    scene.poll().await;
    let sent = message(&mut stream);
    assert_eq!((sent.events.len(), sent.accounts.len()), (1, 0));
}

/// A stream that is behind the feed reads pages from the store, until it has reached the feed.
#[tokio::test]
async fn a_stream_that_is_behind_reads_pages_of_the_store() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.rename(&mut account, 119).await;
    while scene.store.number_waiting().await.unwrap() > 0 {}
    scene.poll().await; // The feed begins at the head.
    let mut stream = scene.open(WatchFrom::Earliest).await;
    let mut revisions = Vec::new();
    for (page, caught_up) in [(50, false), (50, false), (20, true)] {
        let sent = message(&mut stream);
        assert_eq!((sent.events.len(), sent.caught_up), (page, caught_up));
        assert_eq!(sent.accounts[0].account, account);
        revisions.extend(told(&sent).into_iter().map(|(_, revision)| revision));
    }
    assert_eq!(revisions, (1..=120).collect::<Vec<_>>());
    scene.rename(&mut account, 1).await;
    scene.poll().await;
    assert_eq!(told(&message(&mut stream)), [(account.id, 121)]);
}

/// The feed keeps so many events, and no more.
#[tokio::test]
async fn the_feed_forgets_its_oldest_events() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    let mut slow = scene.open(WatchFrom::Now).await;
    message(&mut slow);
    scene.rename(&mut account, 10_001).await;
    scene.poll().await;
    let mut revision = 1;
    while revision < 10_002 {
        for (_, next) in told(&message(&mut slow)) {
            assert_eq!(next, revision + 1);
            revision = next;
        }
    }
    assert_eq!(now(&mut slow), None);
}

#[tokio::test]
async fn a_stream_begins_at_the_first_event_since_a_moment() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    scene.pass_unseen(Duration::from_mins(1));
    scene.rename(&mut account, 1).await;
    scene.poll().await;
    let time = scene.store.events()[1].time;
    let mut stream = scene.open(WatchFrom::Since(time)).await;
    assert_eq!(told(&message(&mut stream)), [(account.id, 2)]);
    let mut coming = scene.open(WatchFrom::Since(time + Duration::from_secs(1))).await;
    assert!(message(&mut coming).events.is_empty());
}

/// Events that were committed and have no number yet are behind a stream that begins now.
#[tokio::test]
async fn now_is_behind_events_that_wait_for_their_number() {
    let scene = Scene::new();
    scene.poll().await;
    let mut account = scene.link(1, "").await;
    let mut stream = scene.open(WatchFrom::Now).await;
    assert!(message(&mut stream).events.is_empty());
    scene.rename(&mut account, 1).await;
    scene.poll().await;
    assert_eq!(told(&message(&mut stream)), [(account.id, 2)]);
}
