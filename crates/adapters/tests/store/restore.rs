//! A backup of an SQLite file is put back as docs/OPERATIONS.md says.

use std::fs;
use std::path::Path;

use ig_domain::{EventPosition, PendingLink};
use ig_test_support::builders::{START, parsed, pending_link};
use ig_test_support::contract::{Ports, StoreUnderTest as _};

use super::fixture::{Sqlite, TestDatabase, key, open, ports};
use super::keys::link;

const FILES: [&str; 3] = ["accounts.db", "accounts.db-wal", "accounts.db-shm"];

/// Files of a killed service in a folder of their own, and a backup from before its newest write.
async fn killed_with_a_backup(before: &PendingLink, after: &PendingLink) -> (Sqlite, Sqlite) {
    let (store, left) = (Sqlite::migrated().await, Sqlite::missing());
    store.ports().pending_links.insert(before).await.unwrap();
    // As a stop does, so that the file alone is a whole copy.
    store.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let backup = left.folder.path().join("backup.db");
    fs::copy(store.path(), &backup).unwrap();
    store.ports().pending_links.insert(after).await.unwrap();
    for file in FILES {
        fs::copy(store.folder.path().join(file), left.folder.path().join(file)).unwrap();
    }
    (store, left)
}

fn restore(folder: &Path) {
    fs::copy(folder.join("backup.db"), folder.join("accounts.db")).unwrap();
}

async fn finds(store: &Sqlite, pending: &PendingLink) -> bool {
    let ports: Ports = ports(open(&store.url()), parsed("990602627938098"), &key(1));
    ports.pending_links.find(&pending.state).await.unwrap().is_some()
}

#[tokio::test]
async fn a_restored_file_is_the_backup_once_the_files_beside_it_are_gone() {
    let (before, after) = (pending_link("before", "", START), pending_link("after", "", START));
    let (_store, left) = killed_with_a_backup(&before, &after).await;
    for file in &FILES[1..] {
        fs::remove_file(left.folder.path().join(file)).unwrap();
    }
    restore(left.folder.path());
    left.database().migrate().await.unwrap();
    assert!(finds(&left, &before).await);
    assert!(!finds(&left, &after).await, "what was written after the backup is gone");
}

/// Reason for which the documents say to remove them: nothing else tells that the former state is shown.
#[tokio::test]
async fn a_log_that_is_left_beside_a_restored_file_shows_the_former_state() {
    let (before, after) = (pending_link("before", "", START), pending_link("after", "", START));
    let (_store, left) = killed_with_a_backup(&before, &after).await;
    restore(left.folder.path());
    assert!(finds(&left, &after).await);
}

async fn linked(store: &Sqlite, number: u32) -> EventPosition {
    link(&store.ports(), number).await;
    store.ports().event_log.look(None).await.unwrap().head
}

async fn holds(store: &Sqlite, at: &EventPosition) -> bool {
    store.ports().event_log.look(Some(at)).await.unwrap().holds
}

/// A position from before the backup is one that the database cannot tell from a good one: hence the new log.
#[tokio::test]
async fn no_position_of_a_database_is_good_in_one_that_was_restored() {
    let (store, restored) = (Sqlite::migrated().await, Sqlite::missing());
    let before = linked(&store, 1).await;
    store.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
    fs::copy(store.path(), restored.path()).unwrap();
    let lost = linked(&store, 2).await;
    assert!(holds(&restored, &before).await);
    assert!(!holds(&restored, &lost).await);
    let other = linked(&restored, 3).await;
    assert_eq!((other.log, other.number), (lost.log, lost.number));
    assert!(!holds(&restored, &lost).await, "another event has its number");
    restored.ports().restoration.begin_new_log().await.unwrap();
    for at in [before, lost, other] {
        assert!(!holds(&restored, &at).await, "{at:?}");
    }
}
