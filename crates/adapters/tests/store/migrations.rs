//! Migrations: once, by whoever comes first, and never backwards.

use ig_test_support::contract::StoreUnderTest;
use tokio::task::JoinSet;

use super::fixture::{Sqlite, is_unavailable, open};

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let store = Sqlite::migrated().await;
    store.database.migrate().await.unwrap();
    assert_eq!(store.database.pending_migrations().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_migrate_at_once_all_succeed_and_each_step_is_taken_once() {
    let store = Sqlite::missing();
    let mut starters = JoinSet::new();
    for _ in 0..12 {
        let database = open(&store.url());
        starters.spawn(async move { database.migrate().await });
    }
    for migrated in starters.join_all().await {
        migrated.unwrap();
    }
    assert_eq!(store.number("SELECT count(*) FROM seaql_migrations").await, 4);
    store.ports().probe.check().await.unwrap();
}

#[tokio::test]
async fn a_migration_that_only_a_newer_binary_knows_is_no_error() {
    let store = Sqlite::migrated().await;
    store.run("INSERT INTO seaql_migrations VALUES ('m29990101_000001_create_future', 1)").await;
    store.database.migrate().await.unwrap();
    assert_eq!(store.database.pending_migrations().await.unwrap(), Vec::<String>::new());
    store.ports().probe.check().await.unwrap();
}

#[tokio::test]
async fn a_database_without_migrations_is_unavailable_and_names_what_is_missing() {
    let store = Sqlite::missing();
    std::fs::write(store.path(), "").unwrap();
    assert_eq!(store.database.pending_migrations().await.unwrap().len(), 4);
    let ports = store.ports();
    assert!(is_unavailable(&ports.probe.check().await));
    let key = ig_domain::ports::AccountKey::Username("luna".parse().unwrap());
    assert!(is_unavailable(&ports.accounts.find(&key).await));
    assert!(is_unavailable(&store.database.anything_sealed().await));
    store.database.migrate().await.unwrap();
    ports.probe.check().await.unwrap();
}

#[tokio::test]
async fn a_database_that_lacks_one_migration_is_unavailable() {
    let store = Sqlite::migrated().await;
    let ports = store.ports();
    store.run("DROP TABLE renewal_lease").await;
    store.run("DELETE FROM seaql_migrations WHERE version LIKE '%renewal_lease'").await;
    assert!(is_unavailable(&ports.probe.check().await));
    assert_eq!(
        store.database.pending_migrations().await.unwrap(),
        ["m20261124_000004_create_renewal_lease"]
    );
    store.database.migrate().await.unwrap();
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
