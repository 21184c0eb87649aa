//! Messages that streams share, and those that they do not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use ig_application::{SharedMessage, WatchFrom, WatchScope, WatchStream};
use ig_domain::OwnerScope;
use ig_domain::ports::Webhooks as _;
use ig_test_support::builders::{parsed, received};

use super::{Scene, cursor, message, scope, told};

/// The message that the stream has at once.
#[track_caller]
fn shared(stream: &mut WatchStream) -> Arc<SharedMessage> {
    stream.next().now_or_never().expect("a message").unwrap_or_else(|end| panic!("{end:?}"))
}

/// Streams behind what is there, which have got their first message.
async fn streams<const N: usize>(scene: &Scene) -> [WatchStream; N] {
    let mut streams = Vec::new();
    for _ in 0..N {
        let mut stream = scene.open(WatchFrom::Now).await;
        message(&mut stream);
        streams.push(stream);
    }
    streams.try_into().ok().unwrap()
}

#[tokio::test]
async fn streams_at_one_place_that_see_the_same_share_a_message() {
    let scene = Scene::new();
    scene.poll().await;
    let [mut first, mut second] = streams(&scene).await;
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    let (sent, same) = (shared(&mut first), shared(&mut second));
    assert!(Arc::ptr_eq(&sent, &same));
    assert_eq!(told(&sent), [(account.id, 1)]);
    let mut encoded = 0;
    for message in [&sent, &same] {
        message.encoded(|_| {
            encoded += 1;
            Vec::new()
        });
    }
    assert_eq!(encoded, 1);
    scene.rename(&mut account, 1).await;
    scene.poll().await;
    assert_eq!(told(&shared(&mut second)), [(account.id, 2)]);
    assert_eq!(told(&shared(&mut first)), [(account.id, 2)]);
}

#[tokio::test]
async fn a_stream_that_sees_something_else_has_a_message_of_its_own() {
    let scene = Scene::new();
    scene.poll().await;
    let [mut all] = streams(&scene).await;
    scene.rights.set(Ok(scope(OwnerScope::only(parsed("shop/7")))));
    let [mut of_owner] = streams(&scene).await;
    let hidden = WatchScope { shows_accounts: false, ..scope(OwnerScope::everyone()) };
    scene.rights.set(Ok(hidden));
    let [mut without_accounts] = streams(&scene).await;
    let (seven, eight) = (scene.link(1, "shop/7").await, scene.link(2, "shop/8").await);
    scene.poll().await;
    assert_eq!(told(&shared(&mut all)), [(seven.id, 1), (eight.id, 1)]);
    assert_eq!(told(&shared(&mut of_owner)), [(seven.id, 1)]);
    let without = shared(&mut without_accounts);
    assert_eq!((without.events.len(), without.accounts.len()), (2, 0));
}

/// Others share one after that again.
#[tokio::test]
async fn a_message_that_says_something_else_takes_the_place_of_one() {
    let scene = Scene::new();
    scene.poll().await;
    let [mut first, mut second] = streams(&scene).await;
    let start = cursor(&message(&mut scene.open(WatchFrom::Earliest).await));
    scene.link(1, "").await;
    scene.poll().await;
    scene.pass_unseen(Duration::from_millis(1));
    let mut opened = scene.open(WatchFrom::After(start)).await;
    assert!(!shared(&mut opened).caught_up);
    let sent = shared(&mut first);
    assert!(sent.caught_up);
    assert!(Arc::ptr_eq(&sent, &shared(&mut second)));
}

/// One may have read a part of what another one is still to read.
#[tokio::test]
async fn a_stream_at_another_place_has_a_message_of_its_own() {
    let scene = Scene::new();
    scene.poll().await;
    let [mut slow, mut fast] = streams(&scene).await;
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    shared(&mut fast);
    scene.rename(&mut account, 1).await;
    scene.poll().await;
    assert_eq!(told(&shared(&mut fast)), [(account.id, 2)]);
    assert_eq!(told(&shared(&mut slow)), [(account.id, 1), (account.id, 2)]);
}

/// Also while there is no look: what it shows of accounts is not to be older.
#[tokio::test]
async fn a_message_is_made_anew_once_it_is_old() {
    let scene = Scene::new();
    scene.poll().await;
    let [mut first, mut second, mut third] = streams(&scene).await;
    scene.link(1, "").await;
    scene.poll().await;
    scene.pass_unseen(Duration::from_millis(251));
    let sent = shared(&mut first);
    scene.pass_unseen(Duration::from_millis(250));
    assert!(Arc::ptr_eq(&sent, &shared(&mut second)));
    scene.pass_unseen(Duration::from_millis(1));
    assert!(!Arc::ptr_eq(&sent, &shared(&mut third)));
}

/// A look may have brought accounts as they are now.
#[tokio::test]
async fn a_message_is_made_anew_after_each_look() {
    let scene = Scene::new();
    scene.poll().await;
    let [mut first, mut second] = streams(&scene).await;
    scene.link(1, "").await;
    scene.poll().await;
    let sent = shared(&mut first);
    scene.poll().await;
    assert!(!Arc::ptr_eq(&sent, &shared(&mut second)));
}

/// A stream is caught up by a look that began after it was opened.
#[tokio::test]
async fn a_stream_that_is_not_caught_up_takes_no_message_that_says_so() {
    let scene = Scene::new();
    scene.poll().await;
    let [mut first] = streams(&scene).await;
    let start = cursor(&message(&mut scene.open(WatchFrom::Earliest).await));
    scene.link(1, "").await;
    scene.poll().await;
    assert!(shared(&mut first).caught_up);
    scene.pass_unseen(Duration::from_millis(1));
    let mut opened = scene.open(WatchFrom::After(start)).await;
    let sent = shared(&mut opened);
    assert_eq!((sent.events.len(), sent.caught_up), (1, false));
}

/// Its payload may be erased before another stream sends it.
#[tokio::test]
async fn a_message_that_tells_an_update_is_not_shared() {
    let scene = Scene::new();
    let account = scene.link(1, "").await;
    scene.poll().await;
    let [mut first, mut second] = streams(&scene).await;
    scene.store.store(&[received(&account, 1, 10)]).await.unwrap();
    scene.poll().await;
    let (sent, other) = (shared(&mut first), shared(&mut second));
    assert!(!Arc::ptr_eq(&sent, &other));
    assert_eq!((sent.payloads.len(), other.payloads.len()), (1, 1));
}
