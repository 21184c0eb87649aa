//! Where connections are served, and the end of that.

use std::future::pending;
use std::thread::ThreadId;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;

/// Starts a connection that tells its thread, and then lasts until `end`.
async fn thread_of(
    runtimes: &ConnectionRuntimes,
    tasks: &TaskTracker,
    end: CancellationToken,
) -> ThreadId {
    let (sender, mut receiver) = mpsc::channel(1);
    runtimes.spawn(tasks, async move {
        sender.send(thread::current().id()).await.unwrap();
        end.cancelled().await;
    });
    receiver.recv().await.unwrap()
}

#[tokio::test]
async fn a_connection_is_served_where_the_fewest_are() {
    let (runtimes, tasks) = (ConnectionRuntimes::start_some(2).unwrap(), TaskTracker::new());
    let ends = [CancellationToken::new(), CancellationToken::new()];
    let first = thread_of(&runtimes, &tasks, ends[0].clone()).await;
    let second = thread_of(&runtimes, &tasks, ends[1].clone()).await;
    assert_ne!(first, second);
    assert!(![first, second].contains(&thread::current().id()));
    ends[1].cancel();
    while tasks.len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(thread_of(&runtimes, &tasks, ends[1].clone()).await, second);
    runtimes.end().await;
}

#[tokio::test]
async fn by_default_a_connection_is_served_on_the_runtime_of_the_server() {
    let (runtimes, tasks) = (ConnectionRuntimes::default(), TaskTracker::new());
    let end = CancellationToken::new();
    assert_eq!(thread_of(&runtimes, &tasks, end).await, thread::current().id());
    runtimes.end().await;
}

/// Says on its drop that a task has ended.
async fn endless(_ended: DropGuard) {
    pending::<()>().await;
}

#[tokio::test]
async fn nothing_is_left_of_what_runs_there_after_the_end() {
    let (runtimes, tasks) = (ConnectionRuntimes::start_some(2).unwrap(), TaskTracker::new());
    let ended: Vec<_> = (0..4).map(|_| CancellationToken::new()).collect();
    for ended in &ended {
        let ended = ended.clone();
        runtimes.spawn(&tasks, async move {
            tokio::spawn(endless(ended.drop_guard()));
        });
    }
    tasks.close();
    tasks.wait().await;
    assert!(!ended.iter().any(CancellationToken::is_cancelled));
    runtimes.end().await;
    assert!(ended.iter().all(CancellationToken::is_cancelled));
}
