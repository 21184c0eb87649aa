//! Nothing personal of an account stays behind it, in whatever table.

use ig_domain::ports::AccountKey;
use ig_test_support::builders::{START, account, parsed};
use rstest::rstest;

use super::fixture::On;
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
