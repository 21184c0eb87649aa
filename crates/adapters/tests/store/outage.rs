//! A store that goes away is missed, and found again without a restart.

mod causes;
mod postgres;
mod proxy;
mod sessions;

use std::fs;
use std::time::Duration;

use ig_domain::ports::AccountKey;
use ig_test_support::builders::{START, pending_link};
use ig_test_support::contract::{Ports, StoreUnderTest};
use sea_orm::sqlx;

use super::fixture::{Sqlite, TestDatabase, is_unavailable, open};

/// Maximum time of a call to a store in trouble: five times its limit of four seconds, which a test of its own measures
/// by a clock that stands still. A busy machine takes its time, and a call without a limit half a minute or more.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Result of a call to a store in trouble, which ends.
async fn ended<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(CALL_TIMEOUT, call).await.expect("the call does not end")
}

async fn assert_away(ports: &Ports) {
    assert!(is_unavailable(&ended(ports.probe.check()).await));
    let key = AccountKey::Username("luna".parse().unwrap());
    assert!(is_unavailable(&ended(ports.accounts.find(&key)).await));
    let pending = pending_link("while-away", "", START);
    assert!(is_unavailable(&ended(ports.pending_links.insert(&pending)).await));
}

#[tokio::test]
async fn a_file_that_is_moved_away_is_missed_and_used_again_when_it_is_back() {
    let store = Sqlite::migrated().await;
    let ports = store.ports();
    let pending = pending_link("before", "", START);
    ports.pending_links.insert(&pending).await.unwrap();
    let elsewhere = store.folder.path().join("elsewhere.db");
    for _ in 0..3 {
        fs::rename(store.path(), &elsewhere).unwrap();
        assert_away(&ports).await;
        assert!(!store.path().exists(), "no empty database took its place");
        fs::rename(&elsewhere, store.path()).unwrap();
        ports.probe.check().await.unwrap();
        let found = ports.pending_links.find(&pending.state).await.unwrap();
        assert_eq!(found.as_ref(), Some(&pending));
    }
    ports.pending_links.insert(&pending_link("after", "", START)).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_deleted_is_missed_though_connections_are_open() {
    let store = Sqlite::migrated().await;
    let ports = store.ports();
    ports.probe.check().await.unwrap();
    fs::remove_file(store.path()).unwrap();
    assert_away(&ports).await;
}

#[tokio::test]
async fn another_file_in_its_place_is_read_and_the_former_one_is_not() {
    let store = Sqlite::migrated().await;
    let ports = store.ports();
    let pending = pending_link("former", "", START);
    ports.pending_links.insert(&pending).await.unwrap();
    let other = Sqlite::migrated().await;
    other.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
    for file in ["accounts.db-wal", "accounts.db-shm"] {
        let _ = fs::remove_file(store.folder.path().join(file));
    }
    fs::rename(other.path(), store.path()).unwrap();
    // More often than there are connections, so that every former one is met.
    for _ in 0..8 {
        ports.probe.check().await.unwrap();
        assert_eq!(ports.pending_links.find(&pending.state).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_log_that_a_long_reader_kept_growing_is_empty_once_it_has_gone() {
    let store = Sqlite::migrated().await;
    let ports = store.ports();
    let log = || fs::metadata(store.folder.path().join("accounts.db-wal")).unwrap().len();
    let mut reader = store.connection().await;
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM pending_link").execute(&mut reader).await.unwrap();
    store.run("CREATE TABLE ballast (bytes BLOB)").await;
    for _ in 0..3 {
        store.run("INSERT INTO ballast VALUES (zeroblob(4000000))").await;
    }
    let grown = log();
    assert!(grown > 8 * 1024 * 1024, "{grown}");
    store.database.shrink_log().await.unwrap();
    assert_eq!(log(), grown, "somebody reads still");
    ports.pending_links.insert(&pending_link("meanwhile", "", START)).await.unwrap();

    sqlx::raw_sql("COMMIT").execute(&mut reader).await.unwrap();
    store.database.shrink_log().await.unwrap();
    assert_eq!(log(), 0);
    ports.pending_links.insert(&pending_link("afterwards", "", START)).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_missing_at_the_start_may_come_later() {
    let store = Sqlite::missing();
    let path = store.folder.path().join("later").join("accounts.db");
    let database = open(&format!("sqlite://{}?mode=rwc", path.display()));
    assert!(is_unavailable(&database.migrate().await));
    assert!(is_unavailable(&database.pending_migrations().await));
    fs::create_dir(store.folder.path().join("later")).unwrap();
    database.migrate().await.unwrap();
    assert_eq!(database.pending_migrations().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_unavailable() {
    let store = Sqlite::missing();
    fs::write(store.path(), "this is no database".repeat(100)).unwrap();
    assert!(is_unavailable(&store.database.migrate().await));
    assert_away(&store.ports()).await;
}

#[tokio::test]
async fn a_lock_that_another_process_keeps_ends_writes_in_time_and_reads_go_on() {
    let store = Sqlite::migrated().await;
    let ports = store.ports();
    let mut other = store.connection().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();

    let pending = pending_link("waiting", "", START);
    let (written, probed) =
        tokio::join!(ended(ports.pending_links.insert(&pending)), ended(ports.probe.check()));
    assert!(is_unavailable(&written) && is_unavailable(&probed));
    assert_eq!(ports.pending_links.find(&pending.state).await.unwrap(), None);

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    ports.pending_links.insert(&pending).await.unwrap();
    ports.probe.check().await.unwrap();
}
