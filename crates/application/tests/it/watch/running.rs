//! Poller and holds as they run.

use std::sync::Arc;
use std::time::Duration;

use ig_application::{WatchFrom, WatchMessage, WatchStream};
use ig_domain::ports::{Consumers as _, Timer as _};

use super::{Scene, cursor, message, told};

/// The next message, and the time until it came.
async fn timed(scene: &Scene, stream: &mut WatchStream) -> (WatchMessage, Duration) {
    let begin = scene.timer.now();
    let passing = async {
        loop {
            tokio::task::yield_now().await;
            scene.timer.advance(Duration::from_millis(1));
        }
    };
    tokio::select! {
        sent = stream.next() => (sent.unwrap(), scene.timer.now() - begin),
        _ = passing => unreachable!(),
    }
}

#[tokio::test]
async fn the_poller_looks_at_once_after_a_write_of_its_process() {
    let scene = Scene::new();
    let poller = ig_application::EventPoller::new(&scene.watch);
    let polling = tokio::spawn(async move { poller.run().await });
    let mut account = scene.link(1, "").await;
    for _ in 0..500 {
        tokio::task::yield_now().await;
        scene.timer.advance(Duration::from_millis(1));
    }
    // Without a stream the last look is older than one that a stream goes by; the first stream brings one at once.
    let mut stream = scene.open(WatchFrom::Now).await;
    assert!(!message(&mut stream).caught_up);
    let (sent, span) = timed(&scene, &mut stream).await;
    assert!(sent.caught_up && span <= Duration::from_millis(20), "{span:?}");
    for _ in 0..3 {
        scene.rename(&mut account, 1).await;
        let (sent, span) = timed(&scene, &mut stream).await;
        assert_eq!(told(&sent), [(account.id, account.revision)]);
        assert!(span <= Duration::from_millis(20), "{span:?}");
    }
    scene.watch.stop.cancel();
    polling.await.unwrap();
}

/// A process that stops gives its consumers back when their streams have ended, and not before.
#[tokio::test]
async fn holds_are_kept_while_streams_live_and_given_back_then() {
    let scene = Scene::new();
    scene.poll().await;
    let (holds, stop) = (Arc::clone(&scene.watch.holds), scene.watch.stop.clone());
    let keeping = tokio::spawn(async move { holds.run(&stop).await });
    let stream = scene.open_consumer("feed", WatchFrom::Now).await.unwrap();
    let is_held = async || scene.store.list(super::WINDOW).await.unwrap()[0].is_held;
    for _ in 0..12 {
        scene.pass_unseen(Duration::from_secs(1));
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        assert!(is_held().await);
    }
    scene.watch.stop.cancel();
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
    assert!(!keeping.is_finished());
    drop(stream);
    keeping.await.unwrap();
    assert!(!is_held().await);
    let committed = scene.committed().await;
    let mut next = scene.other_process().open_consumer("feed", None).await.unwrap();
    assert_eq!(committed, next.next().await.ok().map(|first| cursor(&first)));
}
