//! Streams that wait for their consumer, beside writers.

use ig_domain::LeaseHolder;
use ig_domain::ports::{ConsumerKey, Taken};
use ig_test_support::builders::parsed;
use ig_test_support::contract::StoreUnderTest as _;
use sea_orm::sqlx::Executor as _;
use uuid::Uuid;

use super::fixture::Sqlite;
use super::keys::link;

/// Who waits for a consumer asks again and again. SQLite has one writer at a time, and here another process is it.
#[tokio::test]
async fn whoever_asks_for_a_held_consumer_needs_no_turn_to_write() {
    let store = Sqlite::migrated().await;
    let ports = store.ports();
    link(&ports, 1).await;
    let position = ports.event_log.look(None).await.unwrap().head;
    let key = ConsumerKey { caller: parsed("publisher"), name: parsed("feed") };
    let [holder, other] = [1, 2].map(|number| LeaseHolder::from_uuid(Uuid::from_u128(number)));
    let taken = ports.consumers.take(&key, holder, Some(&position)).await.unwrap();
    assert_eq!(taken, Taken::Held(position));
    let mut writer = store.connection().await;
    writer.execute("BEGIN IMMEDIATE").await.unwrap();
    for from in [None, Some(&position)] {
        assert_eq!(ports.consumers.take(&key, other, from).await.unwrap(), Taken::Busy);
    }
}
