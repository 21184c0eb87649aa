//! Migrations: once, by whoever comes first, and never backwards.

use std::fs;

use ig_migrations::Migrator;
use ig_test_support::contract::StoreUnderTest;
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use sea_orm_migration::MigratorTrait as _;
use tokio::task::JoinSet;

use super::fixture::{On, Sqlite, TestDatabase, is_unavailable, open};
use super::keys::link;

/// Number of migrations.
fn known() -> i64 {
    Migrator::migrations().len().try_into().unwrap()
}

#[rstest]
#[tokio::test]
async fn migrating_again_changes_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let store = on.migrated().await;
    store.database().migrate().await.unwrap();
    assert_eq!(store.database().pending_migrations().await.unwrap(), Vec::<String>::new());
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_migrate_at_once_all_succeed_and_each_step_is_taken_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.unmigrated().await;
    let mut starters = JoinSet::new();
    for _ in 0..12 {
        let database = open(&store.url());
        starters.spawn(async move { database.migrate().await });
    }
    for migrated in starters.join_all().await {
        migrated.unwrap();
    }
    assert_eq!(store.number("SELECT count(*) FROM seaql_migrations").await, known());
    store.ports().probe.check().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_migration_that_only_a_newer_binary_knows_is_no_error(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    store.run("INSERT INTO seaql_migrations VALUES ('m29990101_000001_create_future', 1)").await;
    store.database().migrate().await.unwrap();
    assert_eq!(store.database().pending_migrations().await.unwrap(), Vec::<String>::new());
    store.ports().probe.check().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_database_without_migrations_is_unavailable_and_names_what_is_missing(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.empty().await;
    let pending = store.database().pending_migrations().await.unwrap();
    assert_eq!(i64::try_from(pending.len()).unwrap(), known());
    let ports = store.ports();
    assert!(is_unavailable(&ports.probe.check().await));
    let key = ig_domain::ports::AccountKey::Username("luna".parse().unwrap());
    assert!(is_unavailable(&ports.accounts.find(&key).await));
    assert!(is_unavailable(&store.database().anything_sealed().await));
    store.database().migrate().await.unwrap();
    ports.probe.check().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_database_that_lacks_one_migration_is_unavailable(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    store.run("DROP TABLE renewal_lease").await;
    store.run("DELETE FROM seaql_migrations WHERE version LIKE '%renewal_lease'").await;
    assert!(is_unavailable(&ports.probe.check().await));
    assert_eq!(
        store.database().pending_migrations().await.unwrap(),
        ["m20261124_000004_create_renewal_lease"]
    );
    store.database().migrate().await.unwrap();
    ports.probe.check().await.unwrap();
}

#[tokio::test]
async fn only_migrating_with_mode_rwc_creates_the_file() {
    let store = Sqlite::missing();
    let existing_only = open(&store.url().replace("?mode=rwc", ""));
    assert!(is_unavailable(&existing_only.migrate().await));
    assert!(is_unavailable(&store.database.pending_migrations().await));
    assert!(is_unavailable(&store.ports().probe.check().await));
    assert!(!store.path().exists());
    store.database.migrate().await.unwrap();
    existing_only.migrate().await.unwrap();
}

/// A version before `account_token.issue_time` had a default: it writes and reads the column.
#[rstest]
#[case::sqlite(On::Sqlite, "x'01'")]
#[case::postgres(On::Postgres, r"'\x01'")]
#[tokio::test]
async fn a_former_version_stores_and_reads_tokens_beside_new_ones(
    #[case] on: On,
    #[case] sealed: &str,
) {
    let store = on.migrated().await;
    link(&store.ports(), 1).await;
    assert_eq!(store.number("SELECT issue_time FROM account_token").await, 0);
    let write = format!(
        "INSERT INTO account_token (account_id, sealed_token, key_id, issue_time)
        SELECT id, {sealed}, 'k1', 7 FROM instagram_account WHERE true
        ON CONFLICT (account_id) DO UPDATE SET sealed_token = excluded.sealed_token,
            key_id = excluded.key_id, issue_time = excluded.issue_time"
    );
    assert_eq!(store.run(&write).await, 1);
    assert_eq!(store.number("SELECT issue_time FROM account_token").await, 7);
}

#[tokio::test]
async fn what_was_deleted_by_versions_that_overwrote_nothing_is_not_in_the_file() {
    let store = Sqlite::missing();
    let former = Migrator::migrations();
    let former = former.iter().take_while(|step| !step.name().ends_with("receive_callbacks"));
    let steps = former.count().try_into().unwrap();
    let connection = sea_orm::Database::connect(store.url()).await.unwrap();
    Migrator::up(&connection, Some(steps)).await.unwrap();
    for statement in [
        "INSERT INTO sealing_key VALUES ('990602627938098', 'planted', x'01')",
        "DELETE FROM sealing_key",
    ] {
        connection.execute_unprepared(statement).await.unwrap();
    }
    connection.close().await.unwrap();
    let holds_it = || fs::read(store.path()).unwrap().windows(7).any(|bytes| bytes == b"planted");
    assert!(holds_it());
    store.database.migrate().await.unwrap();
    store.database.close().await.unwrap();
    assert!(!holds_it());
}
