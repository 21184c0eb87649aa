//! Every lookup goes by an index, however many accounts there are.

use std::sync::Arc;

use ig_domain::AppId;
use ig_metrics::Registry;
use rstest::rstest;
use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement};
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::persistence::{Database, StoreMeter};
use crate::sealing::KeyRing;

const NOW: OffsetDateTime = datetime!(2026-11-24 08:00 UTC);

/// How SQLite would find what `query` asks for, one line for each step.
async fn plan(query: impl FnOnce(&SeaOrmStore) -> Select<Entity>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("a.db").display());
    let database = Arc::new(Database::open(&url).unwrap());
    database.migrate().await.unwrap();
    let app: AppId = "1".parse().unwrap();
    let keys = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let cipher: KeyRing = keys.parse().unwrap();
    let meter = StoreMeter::register(&mut Registry::new("test", "1"));
    let store = SeaOrmStore::new(database, app, Arc::new(cipher), meter);
    let Statement { sql, values, .. } = query(&store).build(DbBackend::Sqlite);
    let explained = Statement {
        sql: format!("EXPLAIN QUERY PLAN {sql}"),
        values,
        db_backend: DbBackend::Sqlite,
    };
    let steps = store.database.reading().query_all_raw(explained).await.unwrap();
    let steps = steps.iter().map(|step| step.try_get::<String>("", "detail").unwrap());
    steps.collect::<Vec<_>>().join("\n")
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
    for (step, index) in indexes.iter().enumerate() {
        let plan = plan(|store| store.lookups(&key).swap_remove(step)).await;
        assert!(!plan.contains("SCAN") && plan.contains(index), "{plan}");
    }
}

#[rstest]
#[case::all(OwnerScope::everyone(), "account_link_time (app_id=? AND link_time<?)")]
#[case::one_owners(OwnerScope::only("shop".parse().unwrap()), "account_owner (app_id=? AND owner=? AND link_time<?)")]
#[tokio::test]
async fn a_page_is_found_and_ordered_by_an_index(
    #[case] owners: OwnerScope,
    #[case] index: &str,
    #[values(None, Some(StatusFilter::Active), Some(StatusFilter::ReauthorizationRequired))]
    status: Option<StatusFilter>,
) {
    let after = Some((NOW, AccountId::from_uuid(Uuid::nil())));
    let page = AccountPage { owners, status, now: NOW, after, limit: 50 };
    let plan = plan(|store| store.page(&page)).await;
    assert!(plan.contains(index), "{plan}");
    assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
}
