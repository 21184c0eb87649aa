//! Consumers, beside writers.

use std::time::Duration;

use ig_domain::LeaseHolder;
use ig_domain::ports::{ConsumerKey, Taken};
use ig_test_support::builders::parsed;
use ig_test_support::contract::StoreUnderTest as _;
use sea_orm::sqlx::{Connection as _, Executor as _, query_scalar};
use uuid::Uuid;

use super::fixture::{Postgres, Sqlite, TestDatabase as _};
use super::keys::link;

fn key() -> ConsumerKey {
    ConsumerKey { caller: parsed("publisher"), name: parsed("feed") }
}

/// Who waits for a consumer asks again and again. SQLite has one writer at a time, and here another process is it.
#[tokio::test]
async fn whoever_asks_for_a_held_consumer_needs_no_turn_to_write() {
    let store = Sqlite::migrated().await;
    let ports = store.ports();
    link(&ports, 1).await;
    let position = ports.event_log.look(None).await.unwrap().head;
    let key = key();
    let [holder, other] = [1, 2].map(|number| LeaseHolder::from_uuid(Uuid::from_u128(number)));
    let taken = ports.consumers.take(&key, holder, Some(&position)).await.unwrap();
    assert_eq!(taken, Taken::Held(position));
    let mut writer = store.connection().await;
    writer.execute("BEGIN IMMEDIATE").await.unwrap();
    for from in [None, Some(&position)] {
        assert_eq!(ports.consumers.take(&key, other, from).await.unwrap(), Taken::Busy);
    }
}

/// The removal locks the row while the commit looks for it, and commits then.
#[tokio::test]
async fn a_cursor_that_is_committed_while_its_consumer_is_removed_is_there() {
    let store = Postgres::migrated().await;
    let ports = store.ports();
    let before = ports.event_log.look(None).await.unwrap().head;
    link(&ports, 1).await;
    ports.event_log.number_waiting().await.unwrap();
    let after = ports.event_log.look(None).await.unwrap().head;
    assert!(ports.consumers.commit(&key(), &before).await.unwrap());
    let mut remover = store.connection().await;
    let mut removal = remover.begin().await.unwrap();
    removal.execute("DELETE FROM event_consumer").await.unwrap();
    let pid: i32 = query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *removal).await.unwrap();
    let consumers = ports.consumers.clone();
    let committing = tokio::spawn(async move { consumers.commit(&key(), &after).await });
    let waiting =
        format!("SELECT count(*) FROM pg_stat_activity WHERE {pid} = ANY(pg_blocking_pids(pid))");
    while store.number(&waiting).await == 0 {}
    removal.commit().await.unwrap();
    assert!(committing.await.unwrap().unwrap());
    let states = ports.consumers.list(Duration::from_hours(1)).await.unwrap();
    assert_eq!(states.iter().map(|state| state.committed).collect::<Vec<_>>(), [Some(after)]);
}
