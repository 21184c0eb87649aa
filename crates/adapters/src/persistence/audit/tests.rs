//! Every way to look through the audit goes by an index, in the order of the index.

use rstest::rstest;
use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement};
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::persistence::DatabaseSettings;

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
    assert!(plan.contains(index), "{plan}");
    assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
}
