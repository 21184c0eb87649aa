//! Due accounts are found along an index, however many are stored or due.

use std::time::Duration;

use sea_orm::QueryTrait as _;
use uuid::Uuid;

use super::*;
use crate::persistence::plans::{self, Common};

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
