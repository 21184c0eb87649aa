//! Reads from a runtime that is not the main one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, ThreadId};
use std::time::Duration;

use ig_domain::ports::MockAccountReader;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

/// A key whose reads are not gathered.
fn key() -> AccountKey {
    AccountKey::Username("bakery".parse().unwrap())
}

/// A runtime that runs on the thread which waits on it.
fn single_threaded() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// The main runtime, which has one thread, and its id.
fn main_runtime() -> (Runtime, ThreadId) {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let thread = runtime.block_on(async { tokio::spawn(async { thread::current().id() }).await });
    (runtime, thread.unwrap())
}

fn on(main: &Runtime, reader: impl AccountReader + 'static) -> MainRuntimeReader {
    let _main = main.enter();
    MainRuntimeReader::new(Arc::new(reader))
}

#[test]
fn a_read_runs_on_the_main_runtime() {
    let (main, main_thread) = main_runtime();
    let mut reader = MockAccountReader::new();
    reader.expect_find().times(1).returning(move |_| {
        assert_eq!(thread::current().id(), main_thread);
        Ok(None)
    });
    let reader = on(&main, reader);
    assert!(single_threaded().block_on(reader.find(&key())).unwrap().is_none());
}

#[test]
fn a_panic_is_that_of_the_caller() {
    let (main, _) = main_runtime();
    let mut reader = MockAccountReader::new();
    reader.expect_find().returning(|_| panic!("a planted panic"));
    let reader = on(&main, reader);
    let read = AssertUnwindSafe(|| single_threaded().block_on(reader.find(&key())));
    let panic = catch_unwind(read).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"a planted panic"));
}

/// Reads that never end, each with a sender that tells by its end of theirs.
struct Endless(mpsc::Sender<()>);

#[async_trait]
impl AccountReader for Endless {
    async fn find(&self, _: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        let begun = self.0.clone();
        begun.send(()).await.unwrap();
        std::future::pending().await
    }

    async fn find_many(&self, _: &[BatchKey]) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        unreachable!()
    }

    async fn find_by_ids(
        &self,
        _: &[AccountId],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        unreachable!()
    }

    async fn list(&self, _: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        unreachable!()
    }

    async fn find_with_token(
        &self,
        _: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError> {
        unreachable!()
    }
}

#[test]
fn a_read_ends_with_the_wait_for_it() {
    let (main, _) = main_runtime();
    let (sender, mut receiver) = mpsc::channel(1);
    let reader = on(&main, Endless(sender));
    single_threaded().block_on(async {
        let key = key();
        tokio::select! {
            _ = reader.find(&key) => unreachable!("it never ends"),
            begun = receiver.recv() => begun.unwrap(),
        }
        drop(reader);
        let ended = timeout(Duration::from_secs(10), receiver.recv()).await;
        assert_eq!(ended.expect("the read ends"), None);
    });
}
