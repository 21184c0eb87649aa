//! A person's accounts and removals are found along indexes, however many there are.

use ig_domain::CodeHash;

use super::*;
use crate::persistence::plans::{self, Common};

fn accounts(store: &SeaOrmStore) -> Vec<SelectStatement> {
    vec![store.accounts_of("7").into_query()]
}

fn removals(store: &SeaOrmStore) -> Vec<SelectStatement> {
    let code = CodeHash::from_bytes([7; 32]);
    let persons = [Some(vec![[1; 32], [2; 32]]), None];
    persons.map(|persons| store.removals_since(persons, store.code_time(&code))).into()
}

#[tokio::test]
async fn accounts_of_a_person_are_found_by_their_indexes() {
    let plan = plans::sqlite(accounts).await.concat().join("\n");
    for index in ["account_app_scoped_id (app_id=?", "account_exchange_id (app_id=?"] {
        assert!(plan.contains(index) && !plan.contains("SCAN instagram_account"), "{plan}");
    }
    let plan = plans::postgres(Common::Active, accounts).await.concat().join("\n");
    for index in ["account_app_scoped_id", "account_exchange_id"] {
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{plan}");
    }
}

#[tokio::test]
async fn removals_of_a_person_are_found_by_the_primary_key() {
    let keys = ["(app_id=? AND kind=? AND user_hash=? AND issue_time>?)", "(app_id=? AND kind=?)"];
    for (plan, key) in plans::sqlite(removals).await.iter().zip(keys) {
        let plan = plan.join("\n");
        assert!(plan.contains(&format!("sqlite_autoindex_user_removal_1 {key}")), "{plan}");
        assert!(
            plan.contains("link_attempt USING INDEX sqlite_autoindex_link_attempt_1"),
            "{plan}"
        );
    }
}
