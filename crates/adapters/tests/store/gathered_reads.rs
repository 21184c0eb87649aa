//! Reads of single accounts that wait at the same time.

use futures_util::future::join_all;
use ig_domain::InstagramAccount;
use ig_domain::ports::{AccountKey, StoreError};
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::contract::Ports;
use rstest::rstest;
use tokio::join;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

use super::fixture::On;
use super::keys::link;

const ACCOUNTS: u32 = 10;

/// Reads by every key that finds an account, and by some that find none; each account by more than one.
fn keys() -> Vec<AccountKey> {
    let keys = (1..=ACCOUNTS + 2).flat_map(|number| {
        let account = account(number, "", START);
        let scoped = account.app_scoped_user_id.unwrap();
        [
            AccountKey::Id(account.id),
            AccountKey::Instagram(account.professional_account_id.into()),
            AccountKey::Instagram(parsed(scoped.as_str())),
        ]
    });
    // More than one query takes.
    let keys: Vec<_> = keys.collect();
    vec![keys; 3].concat()
}

/// What comes of a read.
#[derive(Debug, PartialEq)]
enum Read {
    Found(Box<InstagramAccount>),
    Nothing,
    Corrupt,
    Failed,
}

async fn read(ports: &Ports, key: &AccountKey) -> Read {
    match ports.accounts.find(key).await {
        Ok(Some(account)) => Read::Found(Box::new(account)),
        Ok(None) => Read::Nothing,
        Err(StoreError::Corrupt(_)) => Read::Corrupt,
        Err(_) => Read::Failed,
    }
}

/// All at once: each waits before the first query begins.
async fn read_together(ports: &Ports) -> Vec<Read> {
    let keys = keys();
    join_all(keys.iter().map(|key| read(ports, key))).await
}

/// Also where a row cannot be read: that one's readers are told, and no others.
#[rstest]
#[case::none("SELECT 1")]
#[case::username(
    "UPDATE instagram_account SET username = 'Planted Ü' WHERE username = 'account_3'"
)]
#[case::time(
    "UPDATE instagram_account SET link_time = 9223372036854775807 WHERE username = 'account_3'"
)]
#[tokio::test]
async fn reads_that_wait_together_are_answered_as_if_each_came_alone(
    #[case] damage: &str,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    for number in 1..=ACCOUNTS {
        link(&ports, number).await;
    }
    store.run(damage).await;
    let mut alone = Vec::new();
    for key in keys() {
        alone.push(read(&ports, &key).await);
    }
    assert_eq!(alone.contains(&Read::Corrupt), damage.starts_with("UPDATE"));
    assert!(alone.contains(&Read::Nothing));
    assert_eq!(read_together(&ports).await, alone);
}

/// What comes of a token's reading: its account and its text, if any.
async fn read_token(ports: &Ports, number: u32) -> Result<Option<(u32, Option<String>)>, bool> {
    match ports.accounts.find_with_token(account(number, "", START).id).await {
        Ok(found) => Ok(found.map(|(found, token)| {
            assert_eq!(found.id, account(number, "", START).id);
            (number, token.map(|token| token.text().expose().to_owned()))
        })),
        Err(error) => Err(matches!(error, StoreError::Corrupt(_))),
    }
}

/// Also where one cannot be read, or is not there any more.
#[rstest]
#[case::none("SELECT 1")]
#[case::account("UPDATE instagram_account SET username = 'Planted Ü' WHERE username = 'account_3'")]
#[case::token("UPDATE account_token SET sealed_token = key_id")]
#[case::gone("DELETE FROM account_token")]
#[tokio::test]
async fn tokens_that_are_read_together_are_answered_as_if_each_came_alone(
    #[case] damage: &str,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    for number in 1..=ACCOUNTS {
        link(&ports, number).await;
    }
    let damage = match on {
        On::Sqlite => damage.to_owned(),
        On::Postgres => damage.replace("= key_id", "= key_id::bytea"),
    };
    store.run(&damage).await;
    let numbers: Vec<_> = (1..=ACCOUNTS + 2).cycle().take(100).collect();
    let mut alone = Vec::new();
    for number in &numbers {
        alone.push(read_token(&ports, *number).await);
    }
    assert_eq!(alone.contains(&Err(true)), damage.starts_with("UPDATE"), "{alone:?}");
    assert!(alone.contains(&Ok(None)) && !alone.contains(&Err(false)), "{alone:?}");
    let together = numbers.iter().map(|number| read_token(&ports, *number));
    assert_eq!(join_all(together).await, alone);
}

/// As that of a gRPC connection: the connections to the database belong to another one.
#[rstest]
#[tokio::test]
async fn reads_outlive_the_runtime_that_asked_first(#[values(On::Sqlite, On::Postgres)] on: On) {
    let store = on.migrated().await;
    let ports = store.ports();
    link(&ports, 1).await;
    let id = account(1, "", START).id;
    for _ in 0..3 {
        let accounts = ports.accounts.clone();
        let ask = move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let key = AccountKey::Id(id);
            let asked = async { join!(accounts.find(&key), accounts.find_with_token(id)) };
            let (found, with_token) = runtime.block_on(asked);
            (found.unwrap(), with_token.unwrap().map(|(account, _)| account))
        };
        let (found, with_token) = spawn_blocking(ask).await.unwrap();
        assert!(found.is_some());
        assert_eq!(found, with_token);
        assert!(matches!(read(&ports, &AccountKey::Id(id)).await, Read::Found(_)));
    }
}

/// And whoever comes afterwards is answered again.
#[rstest]
#[tokio::test]
async fn a_query_that_fails_fails_all_who_wait_for_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    let store = on.migrated().await;
    let ports = store.ports();
    link(&ports, 1).await;
    for _ in 0..3 {
        store.run("ALTER TABLE instagram_account RENAME TO elsewhere").await;
        assert!(read_together(&ports).await.into_iter().all(|read| read == Read::Failed));
        store.run("ALTER TABLE elsewhere RENAME TO instagram_account").await;
        assert!(matches!(read_together(&ports).await[0], Read::Found(_)));
    }
}
