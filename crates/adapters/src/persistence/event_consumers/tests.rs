//! The lag of a consumer is read along an index, however far it is behind.

use super::*;
use crate::persistence::plans::{self, Common};

fn statements(store: &SeaOrmStore) -> Vec<SelectStatement> {
    vec![store.all_consumers(7)]
}

#[tokio::test]
async fn the_first_event_behind_a_cursor_is_found_by_an_index() {
    let plan = plans::sqlite(statements).await[0].join("\n");
    assert!(plan.contains("event_number (app_id=? AND number>?)"), "{plan}");
    assert!(!plan.contains("SCAN"), "{plan}");
}

#[tokio::test]
async fn the_first_event_behind_a_cursor_is_found_by_an_index_in_postgres_too() {
    let plan = plans::postgres(Common::Active, statements).await[0].join("\n");
    assert!(plan.contains("using event_number"), "{plan}");
    assert!(!plan.contains("Seq Scan on account_event"), "{plan}");
}
