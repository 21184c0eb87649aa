//! A page is found by an index, in its order, however much is sealed under the newest key.

use super::*;
use crate::persistence::plans::{self, TestDatabase};
use sea_orm::ConnectionTrait as _;

fn tokens(store: &SeaOrmStore) -> Vec<SelectStatement> {
    let behind = Uuid::nil();
    vec![
        store.sealed_tokens("k1", Some(behind), 100),
        store.placed_tokens(Some(("k1", behind)), 100),
    ]
}

fn statements(store: &SeaOrmStore) -> Vec<SelectStatement> {
    tokens(store).into_iter().chain([store.payload_heads(Some(7), 100)]).collect()
}

#[tokio::test]
async fn pages_are_found_by_their_index() {
    let searches = [
        "account_token_key (key_id=? AND account_id>?)",
        "account_token_key ((key_id,account_id)>(?,?))",
        "account_event USING INTEGER PRIMARY KEY (rowid>?)",
    ];
    for (plan, search) in plans::sqlite(statements).await.iter().zip(searches) {
        let plan = plan.join("\n");
        assert!(plan.contains(search), "{search}: {plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

/// Of many tokens few are under the former key.
const FEW_UNDER_A_FORMER_KEY: &str = "INSERT INTO account_token (account_id, sealed_token, key_id)
    SELECT id, '\\x01026b31', CASE WHEN CAST(professional_account_id AS BIGINT) % 1000 = 7 THEN 'k1' ELSE 'k2' END
    FROM instagram_account";

#[tokio::test]
async fn pages_are_found_by_their_index_in_postgres_too() {
    let own = TestDatabase::with_accounts(plans::Common::Active).await;
    let connection = own.database.reading();
    connection.execute_unprepared(FEW_UNDER_A_FORMER_KEY).await.unwrap();
    connection.execute_unprepared("VACUUM ANALYZE account_token").await.unwrap();
    let store = plans::store(&own.database);
    let mut found = Vec::new();
    for query in tokens(&store) {
        found.push(plans::explained(&own.database, "EXPLAIN", &query, "QUERY PLAN").await);
    }
    own.drop().await;
    for plan in found {
        let plan = plan.join("\n");
        assert!(plan.contains("account_token_key") && !plan.contains("Seq Scan"), "{plan}");
    }
}
