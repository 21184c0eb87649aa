//! A store that is away says where it was looked for and what went wrong, and shows no password.

use std::error::Error as _;

use ig_domain::ports::{AccountKey, StoreError};
use ig_test_support::builders::parsed;
use ig_test_support::contract::StoreUnderTest as _;
use rstest::rstest;

use super::super::fixture::{Postgres, Sqlite, key, open, ports};

/// Cause for which a lookup in the database at `url` fails.
async fn cause(url: &str) -> String {
    let ports = ports(open(url), parsed("1"), &key(1));
    let found = ports.accounts.find(&AccountKey::Username("luna".parse().unwrap())).await;
    told(found)
}

fn told<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    error.source().unwrap().to_string()
}

fn assert_names(cause: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| cause.contains(part)), "{parts:?} in {cause}");
    assert!(!cause.contains("planted"), "{cause}");
}

/// No name has a part of more than 63 characters, so nobody is asked for this one.
const NO_NAME: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid";

#[tokio::test]
async fn a_connection_that_is_refused_and_a_name_that_is_not_found_are_told() {
    let refused = cause("postgres://user:planted@127.0.0.1:1/accounts").await;
    assert_names(&refused, &["PostgreSQL at 127.0.0.1:1: ", "Connection refused"]);
    let unknown = cause(&format!("postgres://user:planted@{NO_NAME}/accounts")).await;
    assert_names(&unknown, &[NO_NAME, ":5432: ", "failed to lookup address"]);
}

#[rstest]
#[case::role("no_such_role", "/postgres", "\"no_such_role\" does not exist")]
#[case::database("", "/nowhere", "\"nowhere\" does not exist")]
#[tokio::test]
async fn a_log_in_that_the_server_refuses_is_told_in_its_words(
    #[case] user: &str,
    #[case] database: &str,
    #[case] words: &str,
) {
    let mut url = Postgres::empty().await.parsed_url();
    if !user.is_empty() {
        url.set_username(user).unwrap();
    }
    url.set_path(database);
    let server = format!("PostgreSQL at {}:", url.host_str().unwrap());
    assert_names(&cause(url.as_str()).await, &[&server, words]);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_told_by_its_whole_path() {
    let store = Sqlite::missing();
    let path = store.path();
    let path = path.to_str().unwrap();
    let missing = told(store.ports().probe.check().await);
    assert_names(&missing, &[path, "unable to open database file"]);
    std::fs::write(store.path(), "this is no database".repeat(100)).unwrap();
    let no_database = told(store.database.migrate().await);
    assert_names(&no_database, &[path, "not a database"]);
}
