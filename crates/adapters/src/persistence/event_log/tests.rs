//! Whoever follows the log reads along indexes, however many events are kept.

use super::*;
use crate::persistence::plans::{self, Common};

fn statements(store: &SeaOrmStore) -> Vec<SelectStatement> {
    vec![
        store.state(7),
        store.numbered_after(7, 10),
        store.first_since(7),
        store.lowest_within_delay(7),
        store.waiting(),
        store.oldest(10),
    ]
}

#[tokio::test]
async fn events_are_found_by_an_index() {
    let searches = [
        "event_number (app_id=? AND number=?)",
        "event_number (app_id=? AND number>?)",
        "event_age (app_id=? AND event_time>?)",
        "event_age (app_id=? AND event_time>? AND event_time<?)",
        "event_number (app_id=? AND number=?)",
        "event_number (app_id=? AND number>?)",
    ];
    for (plan, search) in plans::sqlite(statements).await.iter().zip(searches) {
        let plan = plan.join("\n");
        assert!(plan.contains(search), "{search}: {plan}");
        assert!(!plan.contains("SCAN account_event"), "{plan}");
    }
}

#[tokio::test]
async fn events_are_found_by_an_index_in_postgres_too() {
    let indexes = [
        "using event_number",
        "using event_number",
        "using event_age",
        "using event_age",
        "Index Scan using event_",
        "using event_number",
    ];
    for (plan, index) in plans::postgres(Common::Active, statements).await.iter().zip(indexes) {
        let plan = plan.join("\n");
        assert!(plan.contains(index), "{index}: {plan}");
        assert!(!plan.contains("Seq Scan on account_event"), "{plan}");
        assert!(!plan.contains("Filter: (event_time"), "{plan}");
    }
}

/// Rows are never given an id that another had.
#[tokio::test]
async fn the_order_of_insertion_is_kept_by_sqlite() {
    let (_folder, database) = plans::sqlite_database().await;
    let ddl = "SELECT sql FROM sqlite_schema WHERE name = 'account_event'".to_owned();
    let ddl = database.reading().query_one_raw(Statement::from_string(DbBackend::Sqlite, ddl));
    let ddl: String = ddl.await.unwrap().unwrap().try_get("", "sql").unwrap();
    assert!(ddl.to_uppercase().contains("PRIMARY KEY AUTOINCREMENT"), "{ddl}");
}
