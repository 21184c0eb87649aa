//! Every lookup goes by an index, however many accounts there are.

use rstest::rstest;
use sea_orm::sea_query::{SelectStatement, SqliteQueryBuilder};
use uuid::Uuid;

use super::*;
use crate::persistence::plans::{self, Common};

/// The one statement that a lookup is.
fn lookup(store: &SeaOrmStore, key: &AccountKey) -> Vec<SelectStatement> {
    vec![first_found(store.lookups(key))]
}

#[rstest]
#[case::by_our_id(AccountKey::Id(AccountId::from_uuid(Uuid::nil())), &["autoindex"])]
#[case::by_instagram_id(
    AccountKey::Instagram("1".parse().unwrap()),
    &[
        "account_professional_id (app_id=? AND professional_account_id=?)",
        "account_app_scoped_id (app_id=? AND app_scoped_user_id=?)",
        "account_exchange_id (app_id=? AND exchange_user_id=?)",
    ]
)]
#[case::by_username(AccountKey::Username("luna".parse().unwrap()), &["account_username (app_id=? AND username=?)"])]
#[tokio::test]
async fn a_lookup_goes_by_an_index(#[case] key: AccountKey, #[case] indexes: &[&str]) {
    let plan = plans::sqlite(|store| lookup(store, &key)).await.concat().join("\n");
    for index in indexes {
        assert!(plan.contains(index), "{plan}");
    }
    assert_eq!(plan.matches("SEARCH").count(), indexes.len(), "{plan}");
    assert!(!plan.contains("SCAN instagram_account"), "{plan}");
}

/// For each value that is bound to a limit SQLite would prepare the statement anew.
#[tokio::test]
async fn a_lookup_by_an_id_has_no_limit() {
    let keys = [
        AccountKey::Id(AccountId::from_uuid(Uuid::nil())),
        AccountKey::Instagram("1".parse().unwrap()),
    ];
    let lookups = |store: &SeaOrmStore| {
        let lookups: Vec<_> = keys.iter().flat_map(|key| lookup(store, key)).collect();
        for lookup in &lookups {
            let text = lookup.to_string(SqliteQueryBuilder);
            assert!(text.contains("WHERE") && !text.contains("LIMIT"), "{text}");
        }
        lookups
    };
    assert_eq!(plans::sqlite(lookups).await.len(), keys.len());
}

/// SQLite, which knows no numbers of rows, guesses that an app has few accounts.
#[tokio::test]
async fn many_ids_go_by_their_index_and_not_through_all_accounts_of_the_app() {
    let by_ids = |store: &SeaOrmStore| {
        let some = |number: u128| store.identified_each((0..number).map(Uuid::from_u128));
        let batch = |number: u128| {
            let ids = (0..number).map(|id| Uuid::from_u128(id).into());
            store.any_of(Column::Id, ids.collect()).unwrap()
        };
        [1, 16, 128].into_iter().flat_map(|n| [some(n), batch(n)]).map(Select::into_query).collect()
    };
    for plan in plans::sqlite(by_ids).await {
        let plan = plan.join("\n");
        assert!(plan.contains("sqlite_autoindex_instagram_account_1 (id=?)"), "{plan}");
    }
}

#[tokio::test]
async fn a_lookup_goes_by_an_index_in_postgres_too() {
    let keys = [
        AccountKey::Id(AccountId::from_uuid(Uuid::nil())),
        AccountKey::Instagram("1".parse().unwrap()),
        AccountKey::Username("user.7".parse().unwrap()),
    ];
    let indexes: [&[&str]; 3] = [
        &["instagram_account_pkey"],
        &["account_professional_id", "account_app_scoped_id", "account_exchange_id"],
        &["account_username"],
    ];
    let lookups = |store: &SeaOrmStore| keys.iter().flat_map(|key| lookup(store, key)).collect();
    let plans = plans::postgres(Common::Active, lookups).await;
    for (plan, indexes) in plans.iter().zip(indexes) {
        let plan = plan.join("\n");
        for index in indexes {
            assert!(plan.contains(index), "{plan}");
        }
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}
