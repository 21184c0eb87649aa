//! Calls beside one another: none takes what the probe needs.

use std::future::{pending, ready};
use std::pin::pin;
use std::sync::Arc;

use ig_domain::AccountId;
use ig_domain::ports::{AccountKey, AccountReader as _};
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, Sqlite};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::*;
use crate::persistence::error::no_connection;
use crate::persistence::plans::{TestDatabase, sqlite_database, store};
use crate::persistence::store_meter::Operation;

#[tokio::test]
async fn the_probe_waits_for_no_writer_of_ours() {
    let (_folder, database) = sqlite_database().await;
    let Engine::Sqlite { turn, .. } = &database.engine else { panic!("not SQLite") };
    let _queue = turn.acquire().await.unwrap();
    bounded(database.check()).await.unwrap();
}

/// All connections that read.
async fn all_readers(database: &Database) -> Vec<PoolConnection<Sqlite>> {
    let pool = database.reading().get_sqlite_connection_pool();
    let mut taken = Vec::new();
    for _ in 0..sqlite::MAX_CONNECTIONS {
        taken.push(pool.acquire().await.unwrap());
    }
    taken
}

#[tokio::test]
async fn the_probe_needs_none_of_the_connections_that_calls_use() {
    let (_folder, database) = sqlite_database().await;
    let _taken = all_readers(&database).await;
    bounded(database.check()).await.unwrap();
}

#[tokio::test]
async fn writes_wait_for_no_reader() {
    let (_folder, database) = sqlite_database().await;
    let _taken = all_readers(&database).await;
    bounded(database.begin_write()).await.unwrap();
}

#[tokio::test]
async fn the_probe_needs_none_of_the_connections_that_calls_use_in_postgres_either() {
    let own = TestDatabase::migrated().await;
    let pool = own.database.reading().get_postgres_connection_pool();
    let mut taken = Vec::new();
    for _ in 0..postgres::MAX_CONNECTIONS {
        taken.push(pool.acquire().await.unwrap());
    }
    bounded(own.database.check()).await.unwrap();
    drop(taken);
    own.drop().await;
}

#[tokio::test]
async fn a_file_that_others_have_locked_takes_writes_if_we_wrote_meanwhile() {
    let (_folder, database) = sqlite_database().await;
    let _locked = sqlite::begin(database.reading()).await.unwrap();
    let unwritable = database.check().await;
    assert!(matches!(unwritable, Err(StoreError::Unavailable(_))), "{unwritable:?}");
    let wrote = async {
        database.commits.fetch_add(1, Ordering::Relaxed);
    };
    let (written, ()) = tokio::join!(database.check(), wrote);
    written.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_answered_ends_after_four_seconds() {
    let begun = tokio::time::Instant::now();
    let ended = bounded(std::future::pending::<Result<(), _>>()).await;
    assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_come_means_overload() {
    let turns = Semaphore::new(1);
    let _taken = turns.acquire().await.unwrap();
    let waited = turn_of(turns.acquire(), WRITE_TURN_TIMEOUT).await;
    assert!(matches!(waited, Err(StoreError::Overloaded(_))));
}

/// Reads one account, and those that events are about, while many bulk reads hold on to all connections that they get.
async fn assert_read_beside_bulk_reads<F>(database: &Arc<Database>, hold: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let store = store(database);
    // Bulk reads of the first round whose callers give up go on at the server, and keep their turns in the second.
    for _ in 0..2 {
        let mut bulk_reads = JoinSet::new();
        for _ in 0..2 * postgres::MAX_CONNECTIONS {
            let (store, hold) = (store.clone(), hold());
            let read = async move {
                hold.await;
                Ok(())
            };
            bulk_reads.spawn(async move { store.bulk_read(Operation::ListAccounts, read).await });
        }
        // Each of them begins before the single read does.
        tokio::task::yield_now().await;
        assert_eq!(store.find(&unknown()).await.unwrap(), None);
        assert_eq!(store.find_by_ids(&[AccountId::from_uuid(Uuid::nil())]).await.unwrap(), [None]);
        bulk_reads.shutdown().await;
    }
}

fn unknown() -> AccountKey {
    AccountKey::Username("luna".parse().unwrap())
}

#[tokio::test]
async fn bulk_reads_that_hang_leave_connections_to_single_reads() {
    let (_folder, database) = sqlite_database().await;
    let pool = database.reading().get_sqlite_connection_pool().clone();
    let hold = || {
        let pool = pool.clone();
        async move {
            let _held = pool.acquire().await.unwrap();
            pending::<()>().await;
        }
    };
    assert_read_beside_bulk_reads(&database, hold).await;
}

#[tokio::test]
async fn bulk_reads_that_hang_leave_connections_to_single_reads_in_postgres_too() {
    let own = TestDatabase::migrated().await;
    let pool = own.database.reading().get_postgres_connection_pool().clone();
    let hold = || {
        let pool = pool.clone();
        async move {
            let _held = pool.acquire().await.unwrap();
            pending::<()>().await;
        }
    };
    assert_read_beside_bulk_reads(&own.database, hold).await;
    own.drop().await;
}

/// Answer of a call once it has waited for a connection as long as it may.
async fn after_its_wait<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    tokio::select! {
        biased;
        _ = &mut call => panic!("it did not wait"),
        () = ready(()) => {}
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3)).await;
    tokio::time::resume();
    call.await
}

#[tokio::test]
async fn a_database_all_of_whose_connections_are_in_use_is_not_away() {
    let (_folder, database) = sqlite_database().await;
    let _taken = all_readers(&database).await;
    let read = after_its_wait(store(&database).find(&unknown())).await;
    assert!(matches!(read, Err(StoreError::Overloaded(_))), "{read:?}");
}

#[tokio::test]
async fn a_server_all_of_whose_connections_are_in_use_is_not_away() {
    let own = TestDatabase::migrated().await;
    let pool = own.database.reading().get_postgres_connection_pool();
    let mut taken = Vec::new();
    for _ in 0..postgres::MAX_CONNECTIONS {
        taken.push(pool.acquire().await.unwrap());
    }
    let read = after_its_wait(store(&own.database).find(&unknown())).await;
    assert!(matches!(read, Err(StoreError::Overloaded(_))), "{read:?}");
    drop(taken);
    own.drop().await;
}

/// SQLite begins to write in a file that cannot be written, and fails at the first write.
#[tokio::test]
async fn a_file_that_cannot_be_written_does_not_serve() {
    let (folder, database) = sqlite_database().await;
    database.check().await.unwrap();
    let url = format!("sqlite://{}", folder.path().join("a.db").display());
    let read_only = Database::open_read_only(&DatabaseSettings::of(&url)).unwrap();
    let write = sqlite::begin(&read_only.connections).await.unwrap();
    let refused = read_only.check_on(&write).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

/// The file may have become one that can be written.
#[tokio::test]
async fn connections_that_could_not_do_their_work_leave() {
    let (_folder, database) = sqlite_database().await;
    // The first of them may have been opened before the file was first looked at, and leaves too.
    assert_eq!(all_on(&database, "CREATE TEMP TABLE mark (x)").await, 4);
    assert!(all_on(&database, "SELECT * FROM mark").await >= 3);
    let failed = database.explained::<()>(Err(no_connection("read-only"))).await;
    assert!(Database::is_unreachable(&failed.unwrap_err()));
    assert_eq!(all_on(&database, "SELECT * FROM mark").await, 0);
}

/// Runs a statement on all connections at once, and counts where it can.
async fn all_on(database: &Database, statement: &'static str) -> usize {
    let pool = database.reading().get_sqlite_connection_pool();
    let mut connections = Vec::new();
    for _ in 0..sqlite::MAX_CONNECTIONS {
        connections.push(pool.acquire().await.unwrap());
    }
    let mut well = 0;
    for connection in &mut connections {
        well += usize::from(sqlx::query(statement).execute(&mut **connection).await.is_ok());
    }
    well
}
