//! When a thread polls, and when it sleeps.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::rt::Executor as _;
use tokio::time::advance;

use super::*;
use crate::server::streams::Streams;

/// How much less than [`MAX_POLLING`] is quick.
const LESS: Duration = Duration::from_micros(1);

/// Just quick enough.
const QUICK: Duration = MAX_POLLING.checked_sub(LESS).unwrap();

/// Polls on this thread, and counts its turns.
struct Polling(Arc<AtomicUsize>);

impl Polling {
    async fn start() -> Self {
        let turns = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&turns);
        let polling = poll_for_calls();
        tokio::spawn(async move {
            let mut polling = pin!(polling);
            poll_fn(|context| {
                counted.fetch_add(1, Ordering::Relaxed);
                polling.as_mut().poll(context)
            })
            .await;
        });
        some_turns().await;
        Self(turns)
    }

    /// Whether it goes on once all else had its turn.
    async fn goes_on(&self) -> bool {
        some_turns().await;
        let before = self.0.load(Ordering::Relaxed);
        some_turns().await;
        self.0.load(Ordering::Relaxed) > before
    }

    /// Whether it goes on after a call that begins now.
    async fn goes_on_after_a_call(&self) -> bool {
        begin_call();
        self.goes_on().await
    }
}

fn begin_call() {
    let streams = Streams::default();
    streams.begun().execute(async {});
    streams.run();
}

async fn some_turns() {
    for _ in 0..4 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_follows_another_at_once_is_followed_by_polling() {
    let polling = Polling::start().await;
    assert!(!polling.goes_on().await);
    assert!(!polling.goes_on_after_a_call().await);
    advance(QUICK).await;
    assert!(polling.goes_on_after_a_call().await);
}

#[tokio::test(start_paused = true)]
async fn calls_that_follow_each_other_slowly_are_not() {
    let polling = Polling::start().await;
    for _ in 0..3 {
        assert!(!polling.goes_on_after_a_call().await);
        advance(MAX_POLLING).await;
    }
}

#[tokio::test(start_paused = true)]
async fn polling_that_finds_no_call_ends() {
    let polling = Polling::start().await;
    polling.goes_on_after_a_call().await;
    polling.goes_on_after_a_call().await;
    advance(QUICK).await;
    assert!(polling.goes_on().await);
    advance(LESS).await;
    assert!(!polling.goes_on().await);
}

#[tokio::test(start_paused = true)]
async fn every_second_wait_is_polled_at_most() {
    let polling = Polling::start().await;
    polling.goes_on_after_a_call().await;
    for _ in 0..3 {
        assert!(polling.goes_on_after_a_call().await);
        advance(QUICK).await;
        assert!(!polling.goes_on_after_a_call().await);
        advance(QUICK).await;
    }
}

/// As on two connections.
#[tokio::test(start_paused = true)]
async fn calls_that_begin_together_count_as_one() {
    let polling = Polling::start().await;
    let goes_on = async || {
        begin_call();
        polling.goes_on_after_a_call().await
    };
    for _ in 0..2 {
        assert!(!goes_on().await);
        advance(MAX_POLLING).await;
    }
    assert!(!goes_on().await);
    for _ in 0..2 {
        advance(QUICK).await;
        assert!(goes_on().await);
        advance(QUICK).await;
        assert!(!goes_on().await);
    }
}
