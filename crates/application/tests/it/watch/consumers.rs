//! Named consumers.

use std::time::Duration;

use futures_util::FutureExt as _;
use ig_application::{
    CommitWatch, CommitWatchError, OpenWatchError, WatchCommand, WatchEnd, WatchFrom, WatchStream,
};
use ig_domain::ports::{ConsumerKey, Consumers as _, MAX_CONSUMERS, Restoration as _};
use ig_domain::{EventKind, EventPosition, InstagramAccount};
use ig_test_support::builders::parsed;

use super::{Scene, consumer, cursor, end, message, now, told};

async fn commit(scene: &Scene, position: EventPosition) -> Result<(), CommitWatchError> {
    CommitWatch::new(&scene.watch).execute(&consumer("feed"), &position).await
}

#[tokio::test]
async fn a_stream_goes_on_behind_the_committed_cursor() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    let mut stream = scene.open_consumer("feed", WatchFrom::Now).await.unwrap();
    message(&mut stream);
    for _ in 0..2 {
        scene.rename(&mut account, 1).await;
        scene.poll().await;
    }
    let sent = message(&mut stream);
    assert_eq!(told(&sent), [(account.id, 2), (account.id, 3)]);
    let half =
        EventPosition { number: sent.events[0].number, event: sent.events[0].id, ..cursor(&sent) };
    commit(&scene, half).await.unwrap();
    drop(stream);
    scene.watch.holds.keep().await.unwrap();
    let mut resumed = scene.open_consumer("feed", None).await.unwrap();
    assert_eq!(told(&message(&mut resumed)), [(account.id, 3)]);
    // An older cursor changes nothing.
    commit(&scene, cursor(&sent)).await.unwrap();
    commit(&scene, half).await.unwrap();
    assert_eq!(scene.committed().await, sent.cursor);
    // Rewinding moves it back.
    drop(resumed);
    scene.watch.holds.keep().await.unwrap();
    let mut rewound = scene.open_consumer("feed", WatchFrom::After(half)).await.unwrap();
    assert_eq!(told(&message(&mut rewound)), [(account.id, 3)]);
    assert_eq!(scene.committed().await, Some(half));
}

/// The second stream waits, in the same process as the first or in another, and takes over when that one ends.
#[rstest::rstest]
#[case::in_the_process(false)]
#[case::in_another(true)]
#[tokio::test]
async fn one_stream_holds_a_consumer_and_the_next_takes_over(#[case] elsewhere: bool) {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    let other = elsewhere.then(|| scene.other_process());
    let second = other.as_ref().unwrap_or(&scene);
    scene.poll().await;
    second.poll().await;
    let mut holding = scene.open_consumer("feed", WatchFrom::Now).await.unwrap();
    message(&mut holding);
    let mut waiting = second.open_consumer("feed", None).await.unwrap();
    let heartbeat = message(&mut waiting);
    assert_eq!((heartbeat.cursor, heartbeat.caught_up), (None, false));
    scene.rename(&mut account, 1).await;
    scene.pass(Duration::from_secs(4)).await;
    second.poll().await;
    assert_eq!(now(&mut waiting), None);
    assert_eq!(told(&message(&mut holding)), [(account.id, 2)]);
    scene.pass(Duration::from_secs(1)).await;
    second.poll().await;
    assert_eq!(message(&mut waiting).cursor, None, "a heartbeat");
    drop(holding);
    scene.watch.holds.keep().await.unwrap();
    assert_eq!(told(&message(&mut waiting)), [(account.id, 2)]);
}

/// The stream ends before the lease does, so that two never hold one consumer.
#[tokio::test]
async fn a_consumer_that_cannot_be_kept_is_lost_before_another_takes_it() {
    let scene = Scene::new();
    let other = scene.other_process();
    scene.poll().await;
    let mut stream = scene.open_consumer("feed", WatchFrom::Now).await.unwrap();
    message(&mut stream);
    let mut waiting = other.open_consumer("feed", None).await.unwrap();
    message(&mut waiting);
    scene.pass(Duration::from_secs(4)).await;
    for seconds in 1..=11 {
        scene.pass_unseen(Duration::from_secs(1));
        scene.poll().await;
        other.poll().await;
        let ended = stream.must_end().now_or_never();
        assert_eq!(ended, (seconds >= 9).then_some(WatchEnd::HoldLost), "{seconds} s");
        let took = now(&mut waiting).is_some_and(|sent| sent.unwrap().cursor.is_some());
        assert_eq!(took, seconds == 10, "{seconds} s");
    }
    assert_eq!(end(&mut stream), Some(WatchEnd::HoldLost));
}

#[tokio::test]
async fn a_stream_whose_consumer_is_forgotten_ends() {
    let scene = Scene::new();
    scene.poll().await;
    let mut stream = scene.open_consumer("feed", WatchFrom::Now).await.unwrap();
    message(&mut stream);
    assert!(scene.store.remove(&consumer("feed")).await.unwrap());
    scene.watch.holds.keep().await.unwrap();
    assert_eq!(end(&mut stream), Some(WatchEnd::HoldLost));
}

/// The cursor of a consumer whose stream shows nothing moves on, but never past an event that is not committed.
#[tokio::test]
async fn a_committed_cursor_moves_on_where_all_that_was_sent_is_committed() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    scene.see_only(&[EventKind::Linked]);
    let mut stream = scene.open_consumer("feed", WatchFrom::Now).await.unwrap();
    let first = cursor(&message(&mut stream));
    let pass_hidden = async |stream: &mut WatchStream, account: &mut InstagramAccount| {
        scene.rename(account, 1).await;
        scene.poll().await;
        assert_eq!(now(stream), None);
        scene.watch.holds.keep().await.unwrap();
        scene.committed().await.unwrap().number - first.number
    };
    assert_eq!(pass_hidden(&mut stream, &mut account).await, 1);
    scene.link(2, "").await;
    scene.poll().await;
    let sent = cursor(&message(&mut stream));
    assert_eq!(pass_hidden(&mut stream, &mut account).await, 1, "an event is not committed");
    commit(&scene, sent).await.unwrap();
    assert_eq!(pass_hidden(&mut stream, &mut account).await, 4);
}

#[tokio::test]
async fn a_consumer_without_a_cursor_is_refused_and_not_made() {
    let scene = Scene::new();
    scene.link(1, "").await;
    scene.poll().await;
    let refused = scene.open_consumer("feed", None).await.err();
    assert!(matches!(refused, Some(OpenWatchError::CursorExpired)), "{refused:?}");
    assert!(scene.store.list(super::WINDOW).await.unwrap().is_empty());
    // Neither is one whose cursor is of another log.
    let stream = scene.open_consumer("feed", WatchFrom::Earliest).await.unwrap();
    drop(stream);
    scene.watch.holds.keep().await.unwrap();
    let old = scene.committed().await.unwrap();
    scene.store.begin_new_log().await.unwrap();
    let refused = scene.open_consumer("feed", None).await.err();
    assert!(matches!(refused, Some(OpenWatchError::CursorExpired)), "{refused:?}");
    assert!(matches!(commit(&scene, old).await, Err(CommitWatchError::CursorExpired)));
}

#[tokio::test]
async fn a_caller_has_so_many_consumers_and_another_has_its_own() {
    let scene = Scene::new();
    scene.poll().await;
    for number in 0..MAX_CONSUMERS {
        let stream = scene.open_consumer(&format!("feed-{number}"), WatchFrom::Now).await;
        drop(stream.unwrap());
    }
    let refused = scene.open_consumer("feed", WatchFrom::Now).await.err();
    assert!(matches!(refused, Some(OpenWatchError::TooManyConsumers)), "{refused:?}");
    let position = cursor(&message(&mut scene.open(WatchFrom::Now).await));
    assert!(matches!(commit(&scene, position).await, Err(CommitWatchError::TooManyConsumers)));
    let key = ConsumerKey { caller: parsed("insights"), name: parsed("feed-1") };
    let command = WatchCommand { consumer: Some(key), ..scene.command(WatchFrom::Now) };
    let mut stream = scene.try_open(command).await.unwrap();
    assert!(message(&mut stream).cursor.is_some(), "it is another consumer");
}
