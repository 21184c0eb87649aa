//! Accounts are counted along indexes, without a look at their rows.

use super::*;
use crate::persistence::plans::{self, Common};

const NOW: OffsetDateTime = time::macros::datetime!(2026-11-24 08:00 UTC);

/// All statements of a survey.
fn statements(store: &SeaOrmStore) -> Vec<SelectStatement> {
    let [before, behind] = store.of_other_apps();
    vec![
        store.all(),
        store.marked(),
        store.expired(NOW),
        store.first_expiry(NOW),
        store.due_before(NOW),
        before,
        behind,
        store.trouble_by_cause(),
        store.soonest_in_trouble(10),
        store.soonest_overdue(NOW, 10),
    ]
}

#[tokio::test]
async fn every_number_of_a_survey_comes_from_an_index() {
    let searches = [
        "USING COVERING INDEX",
        "USING INDEX account_link_time_marked (app_id=?)",
        "USING INDEX account_expiry (app_id=? AND token_expire_time<?)",
        "INDEX account_expiry (app_id=? AND token_expire_time>?)",
        "USING COVERING INDEX account_next_visit (app_id=? AND next_visit_time<?)",
        "(app_id<?)",
        "(app_id>?)",
        "USING COVERING INDEX account_trouble (app_id=?)",
        "USING INDEX account_trouble (app_id=?)",
        "USING INDEX account_next_visit (app_id=? AND next_visit_time<?)",
    ];
    for (plan, search) in plans::sqlite(statements).await.iter().zip(searches) {
        let plan = plan.join("\n");
        assert!(plan.contains(search), "{search}: {plan}");
        assert!(!plan.contains("SCAN"), "{plan}");
    }
}

#[tokio::test]
async fn every_number_of_a_survey_comes_from_an_index_in_postgres_too() {
    let indexes = [
        "Index Only Scan using account_",
        "using account_link_time_marked",
        "using account_expiry",
        "using account_expiry",
        "using account_next_visit",
        "using account_",
        "using account_",
        "using account_trouble",
        "using account_trouble",
        "using account_next_visit",
    ];
    for (plan, index) in plans::postgres(Common::Active, statements).await.iter().zip(indexes) {
        let plan = plan.join("\n");
        assert!(plan.contains(index), "{index}: {plan}");
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}
