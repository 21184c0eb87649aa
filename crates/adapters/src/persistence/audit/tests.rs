//! Every way to look through the audit, and its purge, goes by an index, in the order of the index.

use ig_test_support::builders::{account, audit_entry};
use rstest::rstest;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement};
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::persistence::DatabaseSettings;
use crate::persistence::plans::{self, Common, TestDatabase};

const NOW: OffsetDateTime = datetime!(2026-11-24 08:00 UTC);

#[rstest]
#[case::all(AuditPage::default(), "token_audit_time ((hand_out_time,id)<(?,?))")]
#[case::an_accounts(
    AuditPage { account: Some(AccountId::from_uuid(Uuid::nil())), ..AuditPage::default() },
    "token_audit_account (account_id=? AND (hand_out_time,id)<(?,?))"
)]
#[case::a_callers(
    AuditPage { caller: Some("publisher".parse().unwrap()), ..AuditPage::default() },
    "token_audit_caller (caller=? AND (hand_out_time,id)<(?,?))"
)]
#[case::an_owners(
    AuditPage { owner: Some("shop/7".parse().unwrap()), ..AuditPage::default() },
    "token_audit_owner (owner=? AND (hand_out_time,id)<(?,?))"
)]
#[case::since(
    AuditPage { since: Some(NOW), ..AuditPage::default() },
    "token_audit_time (hand_out_time>? AND (hand_out_time,id)<(?,?))"
)]
#[tokio::test]
async fn a_page_is_found_and_ordered_by_an_index(
    #[case] page: AuditPage,
    #[case] index: &str,
    #[values(None, Some("1".parse().unwrap()))] app: Option<AppId>,
) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("a.db").display());
    let database = Database::open(&DatabaseSettings::of(&url)).unwrap();
    database.migrate().await.unwrap();
    let of_app = index.replace("token_audit_time (", "token_audit_app (app_id=? AND ");
    let index = if app.is_some() { of_app } else { index.to_owned() };
    let page = AuditPage { after: Some((NOW, AuditId::from_uuid(Uuid::nil()))), limit: 9, ..page };
    let Statement { sql, values, .. } = select(app.as_ref(), &page).build(DbBackend::Sqlite);
    let explained = Statement {
        sql: format!("EXPLAIN QUERY PLAN {sql}"),
        values,
        db_backend: DbBackend::Sqlite,
    };
    let steps = database.reading().query_all_raw(explained).await.unwrap();
    let steps = steps.iter().map(|step| step.try_get::<String>("", "detail").unwrap());
    let plan = steps.collect::<Vec<_>>().join("\n");
    assert!(plan.contains(&index), "{plan}");
    assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
}

fn oldest(store: &SeaOrmStore) -> Vec<SelectStatement> {
    vec![store.entries_before(NOW).limit(9).into_query()]
}

#[tokio::test]
async fn the_oldest_entries_are_found_by_an_index() {
    let plan = plans::sqlite(oldest).await.concat().join("\n");
    assert!(plan.contains("token_audit_app (app_id=? AND hand_out_time<?)"), "{plan}");
    assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
}

/// Of another app are most of the entries, and all that are old: none of them is looked at.
#[tokio::test]
async fn the_oldest_entries_are_found_by_an_index_in_postgres_too() {
    let own = TestDatabase::migrated().await;
    let connection = own.database.reading();
    connection.execute_unprepared(MANY_ENTRIES).await.unwrap();
    connection.execute_unprepared("VACUUM ANALYZE token_audit").await.unwrap();
    let store = plans::store(&own.database);
    let mut plans = Vec::new();
    for query in oldest(&store) {
        plans.extend(plans::explained(&own.database, "EXPLAIN", &query, "QUERY PLAN").await);
    }
    own.drop().await;
    let plan = plans.join("\n");
    assert!(plan.contains("Index Only Scan using token_audit_app"), "{plan}");
    assert!(!plan.contains("Sort"), "{plan}");
}

/// SQL that inserts so many entries that a full scan is dear, one in a hundred of app 1.
const MANY_ENTRIES: &str =
    "INSERT INTO token_audit (id, app_id, hand_out_time, caller, purpose, request_id, account_id,
        professional_account_id, owner, token_issue_time, token_expire_time, revision)
    SELECT gen_random_uuid(), CASE WHEN n % 100 = 0 THEN '1' ELSE '2' END, n::bigint * 100000000000, 'publisher', '', 'r',
        gen_random_uuid(), '7', '', 1, 2, 1
    FROM generate_series(1, 20000) AS n";

/// Entries of as many accounts.
fn entries(number: u32) -> Vec<AuditEntry> {
    let accounts = (1..=number).map(|number| account(number, "shop/7", NOW));
    (1..).zip(accounts).map(|(number, account)| audit_entry(&account, number)).collect()
}

fn recorded(store: &SeaOrmStore) -> Vec<SelectStatement> {
    vec![store.current(&entries(3))]
}

#[tokio::test]
async fn the_accounts_of_what_is_recorded_are_found_by_their_ids() {
    let plan = plans::sqlite(recorded).await.concat().join("\n");
    assert!(plan.contains("sqlite_autoindex_instagram_account_1 (id=?)"), "{plan}");
    assert!(!plan.contains("SCAN instagram_account"), "{plan}");
}

#[tokio::test]
async fn the_accounts_of_what_is_recorded_are_found_by_their_ids_in_postgres_too() {
    let plan = plans::postgres(Common::Active, recorded).await.concat().join("\n");
    assert!(plan.contains("instagram_account_pkey"), "{plan}");
    assert!(!plan.contains("Seq Scan on instagram_account"), "{plan}");
}

/// So that the database prepares few statements, and the connection remembers them.
#[tokio::test]
async fn entries_are_recorded_by_statements_of_the_lengths_of_powers_of_two() {
    let (_folder, database) = plans::sqlite_database().await;
    let store = plans::store(&database);
    let statement =
        |number| DbBackend::Sqlite.build(&store.inserted(&entries(number)).unwrap()).sql;
    assert_eq!(statement(5), statement(8));
    assert_ne!(statement(4), statement(5));
}
