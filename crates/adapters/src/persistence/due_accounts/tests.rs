//! Due accounts are found along an index, however many are stored or due, and keep what others stored of them.

use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{AccountKey, AccountReader as _, AccountWriter as _};
use ig_test_support::builders;
use sea_orm::{IntoActiveModel as _, QueryTrait as _};
use uuid::Uuid;

use super::*;
use crate::persistence::Database;
use crate::persistence::plans::{self, Common, TestDatabase};

const NOW: OffsetDateTime = time::macros::datetime!(2026-11-24 08:00 UTC);

/// The statements of a claim, of a look for what was missed, and of one for witnesses.
fn statements(store: &SeaOrmStore) -> Vec<SelectStatement> {
    let except = AccountId::from_uuid(Uuid::nil());
    vec![
        store.urgent(NOW, 16),
        store.longest_due(NOW, 16),
        store.missed(500).into_query(),
        store.last_read(except, NOW - Duration::from_hours(1), 3).into_query(),
    ]
}

#[tokio::test]
async fn every_look_of_the_keeper_goes_along_an_index() {
    let indexes = [
        "account_expiry (app_id=? AND token_expire_time<?)",
        "account_next_visit (app_id=? AND next_visit_time<?)",
        "account_unscheduled (app_id=?)",
        "account_last_reading (app_id=?)",
    ];
    for (plan, index) in plans::sqlite(statements).await.iter().zip(indexes) {
        let plan = plan.join("\n");
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{index}: {plan}");
        assert!(!plan.contains("SCAN instagram_account"), "{plan}");
    }
}

#[tokio::test]
async fn every_look_of_the_keeper_goes_along_an_index_in_postgres_too() {
    let indexes =
        ["account_expiry", "account_next_visit", "account_unscheduled", "account_last_reading"];
    for (plan, index) in plans::postgres(Common::Active, statements).await.iter().zip(indexes) {
        let plan = plan.join("\n");
        assert!(plan.contains(&format!("using {index}")), "{index}: {plan}");
        for dear in ["Seq Scan on instagram_account", "Sort", "Hash"] {
            assert!(!plan.contains(dear), "{dear}: {plan}");
        }
    }
}

/// Two replicas look for what was missed at the same time. One schedules the account and visits it, which fails: that
/// makes no new revision. Then the other one schedules what it has seen.
async fn a_failure_outlives_a_schedule_that_comes_late(database: &Arc<Database>) {
    let store = plans::store(database);
    let account = builders::account(1, "shop/7", NOW);
    let missed = Model { scheduled_revision: 0, ..store.row(&account) };
    let write = database.begin_write().await.unwrap();
    Entity::insert(missed.into_active_model()).exec(write.on()).await.unwrap();
    write.commit().await.unwrap();

    let seen = database.read(&store.missed(9).into_query()).await.unwrap();
    assert_eq!(store.schedule_missed(9).await.unwrap(), 1);
    let mut failed = account.clone();
    failed.visit_failed(NOW, None, u32::MAX, Duration::from_hours(5));
    store.update(&failed, &account, None).await.unwrap();

    let write = database.begin_write().await.unwrap();
    store.schedule(write.on(), &seen[0]).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(store.find(&AccountKey::Id(account.id)).await.unwrap(), Some(failed));
}

#[tokio::test]
async fn a_failure_outlives_a_late_schedule() {
    let (_folder, database) = plans::sqlite_database().await;
    a_failure_outlives_a_schedule_that_comes_late(&database).await;
}

#[tokio::test]
async fn a_failure_outlives_a_late_schedule_in_postgres_too() {
    let own = TestDatabase::migrated().await;
    a_failure_outlives_a_schedule_that_comes_late(&own.database).await;
    own.drop().await;
}
