//! What deleted accounts have left is found along indexes, however much of it was erased before.

use sea_orm::QueryTrait;

use super::*;
use crate::persistence::plans::{self, Common};

fn statements(store: &SeaOrmStore) -> Vec<SelectStatement> {
    use link_attempt::Column::{AccountId, CreateTime, LinkedAccountId, UserId};
    let persons = UserId.is_in(["7", "8"]).and(CreateTime.lt(7));
    let [changes, updates] = store.with_body(Uuid::nil()).map(QueryTrait::into_query);
    vec![
        changes,
        updates,
        store.attempts_to_erase(LinkedAccountId.eq(Uuid::nil())).into_query(),
        store.attempts_to_erase(AccountId.eq(Uuid::nil())).into_query(),
        store.attempts_to_erase(persons).into_query(),
        store.to_erase(OffsetDateTime::UNIX_EPOCH),
    ]
}

#[tokio::test]
async fn what_is_left_is_found_by_indexes() {
    let indexes = [
        vec!["event_body (app_id=? AND account_id=?)"],
        vec!["event_webhook (app_id=? AND account_id=?"],
        vec!["attempt_linked_account (app_id=? AND linked_account_id=?)"],
        vec!["attempt_account (app_id=? AND account_id=?)"],
        vec!["attempt_user (app_id=? AND user_id=?)"],
        vec![
            "former_account_removal (app_id=?)",
            "removal_code (app_id=? AND code=?)",
            "event_body (app_id=? AND account_id=?)",
            "event_webhook (app_id=? AND account_id=?",
            "attempt_linked_account (app_id=? AND linked_account_id=?)",
            "attempt_account (app_id=? AND account_id=?)",
            "pending_link_account (app_id=? AND account_id=?)",
        ],
    ];
    for (plan, indexes) in plans::sqlite(statements).await.iter().zip(indexes) {
        let plan = plan.join("\n");
        assert!(!plan.contains("SCAN"), "{plan}");
        for index in indexes {
            assert!(plan.contains(index), "{index}: {plan}");
        }
    }
}

#[tokio::test]
async fn events_that_say_something_are_found_by_their_index_in_postgres_too() {
    let events =
        |store: &SeaOrmStore| store.with_body(Uuid::nil()).map(QueryTrait::into_query).into();
    let plans = plans::postgres(Common::Active, events).await;
    for (plan, index) in plans.iter().zip(["event_body", "event_webhook"]) {
        let plan = plan.join("\n");
        assert!(plan.contains(index), "{plan}");
    }
}

#[test]
fn a_transaction_erases_no_more_than_some_bytes() {
    let largest = i64::try_from(WebhookPayload::MAX_LENGTH).unwrap();
    let number = |sizes: Vec<i64>| number_within_bytes(sizes.into_iter());
    assert_eq!(number(vec![]), 0);
    assert_eq!(number(vec![10; 1000]), 1000);
    assert_eq!(number(vec![largest; 1000]), 64);
    assert_eq!(number(vec![i64::MAX; 1000]), 64);
}

#[tokio::test]
async fn a_deletion_that_takes_long_is_told_once_in_ten_minutes() {
    let (_folder, database) = plans::sqlite_database().await;
    let store = plans::store(&database);
    let begun = OffsetDateTime::UNIX_EPOCH + Duration::from_hours(1);
    let waiting = [Erased { account_id: Uuid::nil(), request_time: micros(begun) }];
    let told_after = |minutes| {
        store.warn_of_long_running(&waiting, begun + Duration::from_mins(minutes));
        let told = database.long_erasure_told.load(Ordering::Relaxed);
        (told - micros(begun)) / whole_micros(Duration::from_mins(1))
    };
    let told = [9, 10, 15, 20].map(told_after);
    assert_eq!(told[1..], [10, 10, 20]);
    assert!(told[0] < 0, "never told");
}
