//! Nothing personal of an account stays behind it, in whatever table, but hashes of its person's ids.

use std::fs;

use ig_domain::ports::AccountKey;
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::contract::StoreUnderTest as _;
use rstest::rstest;

use super::fixture::{On, Sqlite};
use super::keys::link;

#[rstest]
#[tokio::test]
async fn no_table_holds_name_handle_or_picture_of_an_account_that_was_unlinked(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    link(&ports, 1).await;
    let first = account(1, "", START);
    let mut second = first.clone();
    second.username = parsed("renamed");
    let second = second.succeeding(&first, START);
    ports.account_writer.update(&second, &first, None).await.unwrap();
    let personal = ["account_1", "renamed", "Account 1", "cdn.example"];
    let dump = store.dump().await;
    assert!(personal[1..].iter().all(|text| dump.contains(text)), "{dump}");
    ports.account_writer.remove(first.id, second.revision).await.unwrap();
    assert_eq!(ports.accounts.find(&AccountKey::Id(first.id)).await.unwrap(), None);
    let dump = store.dump().await;
    assert!(!personal.iter().any(|text| dump.contains(text)), "{dump}");
    assert!(dump.contains(&first.professional_account_id.to_string()), "its events: {dump}");
}

#[rstest]
#[tokio::test]
async fn an_account_that_was_unlinked_leaves_the_hash_of_its_person(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    let hashes = "SELECT count(*) FROM former_account WHERE length(user_hash) = 32";
    for number in [1, 2] {
        link(&ports, number).await;
        let account = account(number, "", START);
        ports.account_writer.remove(account.id, account.revision).await.unwrap();
        assert_eq!(store.number(hashes).await, i64::from(number));
        let person = account.app_scoped_user_id.unwrap();
        assert!(!store.dump().await.contains(person.as_str()));
    }
    let persons = "SELECT count(DISTINCT user_hash) FROM former_account";
    assert_eq!(store.number(persons).await, 2);
}

#[tokio::test]
async fn nothing_of_an_account_that_was_unlinked_lies_in_the_file() {
    let store = Sqlite::migrated().await;
    let ports = store.ports();
    link(&ports, 1).await;
    let account = account(1, "", START);
    ports.account_writer.remove(account.id, account.revision).await.unwrap();
    store.database.close().await.unwrap();
    let file = fs::read(store.path()).unwrap();
    let file = String::from_utf8_lossy(&file);
    assert!(file.contains("former_account") && !file.contains(&account.name.unwrap()));
}
