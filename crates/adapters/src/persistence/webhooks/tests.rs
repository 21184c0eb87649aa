//! Updates, their accounts and payloads are found along indexes, however much is kept.

use ig_test_support::builders::{START, account, received};

use super::*;
use crate::persistence::plans::{self, Common};

fn statements(store: &SeaOrmStore) -> Vec<SelectStatement> {
    let updates = [1, 2, 3].map(|number| received(&account(number, "", START), number, 1));
    vec![
        store.sealed_payloads(&[1, 2, 3]),
        store.addressees(&updates).unwrap().into_query(),
        store.last_deletions_of(vec![vec![1], vec![2], vec![3]]).unwrap().into_query(),
    ]
}

#[tokio::test]
async fn intake_and_payloads_go_by_indexes() {
    let indexes = [
        "event_number (app_id=? AND number=?)",
        "account_professional_id (app_id=? AND professional_account_id=?)",
        "sqlite_autoindex_user_removal_1 (app_id=? AND kind=? AND user_hash=?)",
    ];
    for (plan, index) in plans::sqlite(statements).await.iter().zip(indexes) {
        let plan = plan.join("\n");
        assert!(plan.contains(index) && !plan.contains("SCAN"), "{plan}");
    }
}

#[tokio::test]
async fn intake_and_payloads_go_by_indexes_in_postgres_too() {
    let indexes = ["event_number", "account_professional_id"];
    for (plan, index) in plans::postgres(Common::Active, statements).await.iter().zip(indexes) {
        let plan = plan.join("\n");
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{plan}");
    }
}

/// So that the database prepares few statements, and the connection remembers them.
#[tokio::test]
async fn looks_for_deletions_have_the_lengths_of_powers_of_two() {
    let (_folder, database) = plans::sqlite_database().await;
    let store = plans::store(&database);
    let statement = |persons: u8| {
        let hashes = (0..persons).map(|person| vec![person]).collect();
        let last = store.last_deletions_of(hashes).unwrap();
        database.reading().get_database_backend().build(&last.into_query()).sql
    };
    assert_eq!(statement(5), statement(8));
    assert_ne!(statement(4), statement(5));
}

/// So few that a connection remembers all of them, and one each.
#[test]
fn updates_are_inserted_by_statements_of_few_lengths() {
    let lengths: BTreeSet<_> = (1..=MAX_INSERTED).map(statement_length).collect();
    assert_eq!(lengths.len(), 35);
    assert!(
        (1..=MAX_INSERTED)
            .all(|number| (number..=MAX_INSERTED).contains(&statement_length(number)))
    );
    assert_eq!([3, 8, 9, 33, 256].map(statement_length), [4, 8, 16, 40, 256]);
}
