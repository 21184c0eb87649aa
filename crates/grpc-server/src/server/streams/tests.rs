//! What becomes of streams that begin.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::*;

/// Number of tasks of the current runtime.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn a_stream_that_does_not_wait_ends_when_it_is_run_and_not_before() {
    let (streams, ended) = (Streams::default(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..3 {
        let ended = Arc::clone(&ended);
        streams.begun().execute(async move { ended.fetch_add(1, Ordering::Relaxed) });
    }
    assert_eq!(ended.load(Ordering::Relaxed), 0);
    streams.run();
    assert_eq!((ended.load(Ordering::Relaxed), tasks()), (3, 0));
}

#[tokio::test]
async fn a_stream_that_waits_goes_on_by_itself() {
    let streams = Streams::default();
    let (go_on, mut told) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    streams.begun().execute(async move {
        let told = (&mut told).await;
        end.send(told)
    });
    streams.run();
    assert_eq!(tasks(), 1);
    go_on.send(7).unwrap();
    assert_eq!(ended.await.unwrap(), Ok(7));
}

#[tokio::test]
async fn a_stream_that_panics_ends_no_other_one() {
    let streams = Streams::default();
    let (end, ended) = oneshot::channel();
    streams.begun().execute(poll_fn(|_| -> Poll<()> { panic!("a stream panics") }));
    streams.begun().execute(async move { end.send(()) });
    streams.run();
    ended.await.unwrap();
    yield_now().await;
    assert_eq!(tasks(), 0);
}

#[tokio::test]
async fn a_stream_that_another_one_begins_is_run_with_it() {
    let streams = Streams::default();
    let (end, mut ended) = oneshot::channel();
    let begun = streams.begun();
    streams.begun().execute(async move { begun.execute(async move { end.send(()) }) });
    streams.run();
    ended.try_recv().unwrap();
}

/// As after a panic in the connection's turn.
#[tokio::test]
async fn streams_that_were_not_run_end_with_their_connection() {
    let streams = Streams::default();
    let (held, place) = (streams.begun(), Arc::new(()));
    let of_stream = Arc::clone(&place);
    streams.begun().execute(async move { drop((held, of_stream)) });
    drop(streams);
    assert_eq!(Arc::strong_count(&place), 1);
}
