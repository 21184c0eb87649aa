//! Several processes on one database, and callers that go away.

use ig_domain::InstagramAccount;
use ig_domain::ports::{AccountKey, StoreError};
use ig_test_support::builders::{self, START, long_lived, parsed};
use ig_test_support::contract::Ports;
use rstest::rstest;
use tokio::task::JoinSet;

use super::fixture::{On, key, open, ports};

async fn link(ports: &Ports, account: &InstagramAccount) {
    use ig_domain::ports::CompletedLink;
    use ig_domain::{LeaseHolder, LinkAttempt};
    let pending = builders::pending_link("state", "", START);
    let presented = builders::presentation("code", "state", "");
    let attempt = LinkAttempt::begin(pending.clone(), &presented, START);
    let holder = LeaseHolder::from_uuid(uuid::Uuid::from_u128(1));
    let link = CompletedLink {
        displaced: None,
        account: account.clone(),
        former_revision: None,
        token: Some(long_lived("first")),
        missing_scopes: Vec::new(),
        end_time: START,
    };
    ports.pending_links.insert(&pending).await.unwrap();
    ports.link_attempts.create(&attempt, holder).await.unwrap();
    ports.link_attempts.complete(&attempt.code, holder, &link).await.unwrap();
}

/// Reads the account, writes it with the next revision, and starts again where another was faster, or where a busy
/// machine let the write have no turn: nothing was begun then.
async fn bump(ports: Ports, account: InstagramAccount) {
    loop {
        let key = AccountKey::Id(account.id);
        let read = ports.accounts.find(&key).await.unwrap().unwrap();
        let next = InstagramAccount { revision: read.revision + 1, ..read.clone() };
        let token = long_lived(&next.revision.to_string());
        match ports.account_writer.update(&next, &read, Some(token)).await {
            Ok(()) => return,
            Err(StoreError::Conflict | StoreError::Overloaded(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_times_a_hundred_writes_through_three_pools_lose_nothing(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let account = builders::account(1, "", START);
    link(&store.ports(), &account).await;
    let mut writers = JoinSet::new();
    for _ in 0..3 {
        let ports = ports(open(&store.url()), parsed("990602627938098"), &key(1));
        for _ in 0..10 {
            let (ports, account) = (ports.clone(), account.clone());
            writers.spawn(async move {
                for _ in 0..10 {
                    bump(ports.clone(), account.clone()).await;
                }
            });
        }
    }
    writers.join_all().await;
    let (found, token) = store.ports().accounts.find_with_token(account.id).await.unwrap().unwrap();
    assert_eq!((found.revision, token.unwrap().text().expose()), (301, "301"));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_are_dropped_at_any_point_block_nobody_and_leave_nothing_half_done(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    let account = builders::account(1, "", START);
    link(&ports, &account).await;
    for polls in 0..200 {
        let mut writing = Box::pin(bump(ports.clone(), account.clone()));
        for _ in 0..polls % 20 {
            if tokio::time::timeout(std::time::Duration::ZERO, &mut writing).await.is_ok() {
                break;
            }
        }
    }
    let (found, token) = ports.accounts.find_with_token(account.id).await.unwrap().unwrap();
    let written = if found.revision == 1 { "first".to_owned() } else { found.revision.to_string() };
    assert_eq!(token.unwrap().text().expose(), written);
    bump(ports, account).await;
}
