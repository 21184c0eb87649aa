//! `after-restore`, once a database was put back.

use std::process::Output;

use ig_proto::v1::watch_request::From;
use ig_proto::v1::{CommitWatchRequest, ListRequest, WatchRequest, WatchResponse};
use rstest::rstest;
use tonic::{Status, Streaming};

use crate::support::sandbox::BAKERY;
use crate::support::{On, Stack, eventually, reason};

fn after(cursor: &str) -> WatchRequest {
    WatchRequest { from: Some(From::After(cursor.to_owned())), ..WatchRequest::default() }
}

async fn end(stream: &mut Streaming<WatchResponse>) -> Status {
    loop {
        if let Err(status) = stream.message().await.map(Option::unwrap) {
            return status;
        }
    }
}

#[rstest]
#[tokio::test]
async fn whoever_follows_is_told_to_begin_anew_and_every_account_is_visited(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stack = Stack::start_on(on, &[("KEEPER", "true")]).await;
    let Stack { sandbox, service, folder } = &stack;
    service.linked(sandbox, "shop/7", BAKERY).await;
    let mut client = service.client.clone();
    let listed = client.list(ListRequest::default()).await.unwrap().into_inner();
    let (consumer, cursor) = ("copy".to_owned(), listed.watch_cursor);
    let commit = CommitWatchRequest { consumer: consumer.clone(), cursor: cursor.clone() };
    client.commit_watch(commit).await.unwrap();
    let mut stream = client.watch(after(&cursor)).await.unwrap().into_inner();
    stream.message().await.unwrap();
    let readings = sandbox.requests("me").await.len();

    let output = folder.settings(sandbox).arg("after-restore").output().unwrap();
    let Output { status, stdout, stderr } = output;
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let told = String::from_utf8(stdout).unwrap();
    assert!(told.ends_with("\naccounts made due: 1\n"), "{told}");

    assert_eq!(reason::<()>(Err(end(&mut stream).await)), "CURSOR_EXPIRED");
    assert_eq!(reason(client.watch(after(&cursor)).await), "CURSOR_EXPIRED");
    let resumed = WatchRequest { consumer, ..WatchRequest::default() };
    assert_eq!(reason(client.watch(resumed).await), "CURSOR_EXPIRED");
    let listed = client.list(ListRequest::default()).await.unwrap().into_inner();
    let mut stream = client.watch(after(&listed.watch_cursor)).await.unwrap().into_inner();
    stream.message().await.unwrap();
    eventually("the profile is read again", async || {
        (sandbox.requests("me").await.len() > readings).then_some(())
    })
    .await;
}
