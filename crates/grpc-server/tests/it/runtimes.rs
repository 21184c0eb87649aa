//! Connections on runtimes of their own.

use std::future::pending;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    AccountKey, AccountPage, AccountReader, BatchKey, MockAccountReader, StoreError,
};
use ig_domain::{AccountId, InstagramAccount, LongLivedToken};
use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::two_owners::link_request;
use crate::watch::next_events;
use crate::world::{World, assert_refused, willing_instagram};

#[tokio::test]
async fn a_get_runs_with_its_connection_and_a_listing_with_the_server() {
    let server_thread = thread::current().id();
    let mut reader = MockAccountReader::new();
    reader.expect_find().times(1).returning(|_| {
        let thread = thread::current();
        assert!(thread.name().is_some_and(|name| name.starts_with("connections-")), "{thread:?}");
        Ok(None)
    });
    reader.expect_list().times(1).returning(move |_| {
        assert_eq!(thread::current().id(), server_thread);
        Ok(Vec::new())
    });
    let world = World { accounts: Arc::new(reader), connection_runtimes: true, ..World::new() };
    let server = world.serve().await;
    let mut client = server.client().await;
    let key = Some(Key::Username("account_1".to_owned()));
    let status = client.get(v1::GetRequest { key, owner: None }).await.unwrap_err();
    assert_refused(&status, Code::NotFound, "ACCOUNT_NOT_FOUND", &[]);
    client.list(v1::ListRequest::default()).await.unwrap();
    drop(client);
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}

/// Lists without end, and tells when it begins and when it is given up.
#[derive(Clone, Default)]
struct EndlessList {
    begun: Arc<Notify>,
    given_up: CancellationToken,
}

#[async_trait]
impl AccountReader for EndlessList {
    async fn list(&self, _: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        let _ends_with_this = self.given_up.clone().drop_guard();
        self.begun.notify_one();
        pending().await
    }

    async fn find(&self, _: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        Ok(None)
    }

    async fn find_many(&self, _: &[BatchKey]) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        Ok(Vec::new())
    }

    async fn find_by_ids(
        &self,
        _: &[AccountId],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        Ok(Vec::new())
    }

    async fn find_with_token(
        &self,
        _: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError> {
        Ok(None)
    }
}

#[tokio::test]
async fn a_handler_ends_when_its_caller_goes_away() {
    let reader = EndlessList::default();
    let accounts = Arc::new(reader.clone());
    let world = World { accounts, connection_runtimes: true, ..World::new() };
    let mut client = world.client().await;
    tokio::select! {
        _ = client.list(v1::ListRequest::default()) => panic!("it never ends"),
        () = reader.begun.notified() => assert!(!reader.given_up.is_cancelled()),
    }
    let given_up = timeout(Duration::from_secs(10), reader.given_up.cancelled());
    given_up.await.expect("its read ends");
}

/// All on one connection: each is woken from another thread, and is told the same.
#[tokio::test]
async fn streams_of_a_connection_are_told_of_what_happens() {
    let world = World { connection_runtimes: true, ..World::with(willing_instagram()) };
    let mut client = world.client().await;
    let mut streams = Vec::new();
    for _ in 0..16 {
        let from = Some(v1::watch_request::From::Start(v1::WatchStart::Now.into()));
        let request = v1::WatchRequest { from, ..v1::WatchRequest::default() };
        let mut stream = client.watch(request).await.unwrap().into_inner();
        let first = stream.message().await.unwrap().unwrap();
        assert!(first.events.is_empty());
        streams.push(stream);
    }
    world.begin("S", "shop/7").await;
    client.link(link_request("S", "shop/7")).await.unwrap();
    let mut told = Vec::new();
    for stream in &mut streams {
        let message = next_events(stream).await;
        assert_eq!((message.events.len(), message.accounts.len()), (1, 1));
        told.push((message.events, message.accounts));
    }
    assert!(told.iter().all(|one| *one == told[0]));
}
