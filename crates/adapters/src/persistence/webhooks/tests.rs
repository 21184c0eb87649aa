//! Updates and their payloads are found along indexes, however many events are kept.

use super::*;
use crate::persistence::plans::{self, Common};

fn statements(store: &SeaOrmStore) -> Vec<SelectStatement> {
    vec![store.sealed_payloads(&[1, 2, 3])]
}

#[tokio::test]
async fn payloads_are_found_by_an_index() {
    let [plan] = &plans::sqlite(statements).await[..] else { panic!("one statement") };
    assert!(plan.join("\n").contains("event_number (app_id=? AND number=?)"), "{plan:?}");
}

#[tokio::test]
async fn payloads_are_found_by_an_index_in_postgres_too() {
    let plans = plans::postgres(Common::Active, statements).await;
    let [plan] = &plans[..] else { panic!("one statement") };
    assert!(plan.join("\n").contains("event_number"), "{plan:?}");
}
