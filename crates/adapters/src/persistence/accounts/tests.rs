//! Every lookup goes by an index, however many accounts there are.

use std::sync::Arc;

use ig_domain::AppId;
use ig_metrics::Registry;
use rstest::rstest;
use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement};
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::persistence::{Database, DatabaseSettings, StoreMeter};
use crate::sealing::KeyRing;

const NOW: OffsetDateTime = datetime!(2026-11-24 08:00 UTC);

/// The store of app 1.
fn store(database: Arc<Database>) -> SeaOrmStore {
    let app: AppId = "1".parse().unwrap();
    let keys = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let cipher: KeyRing = keys.parse().unwrap();
    let meter = StoreMeter::register(&mut Registry::new("test", "1"));
    SeaOrmStore::new(database, app, Arc::new(cipher), meter)
}

/// How SQLite would find what `query` asks for, one line for each step.
async fn plan(query: impl FnOnce(&SeaOrmStore) -> Select<Entity>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("a.db").display());
    let database = Arc::new(Database::open(&DatabaseSettings::of(&url)).unwrap());
    database.migrate().await.unwrap();
    let store = store(database);
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

/// As many accounts as make a walk through all of them dear; every hundredth is of one owner.
const MANY: &str = "INSERT INTO instagram_account (id, app_id, professional_account_id, app_scoped_user_id,
        exchange_user_id, owner, username, account_type, refused, consent_time, token_issue_time,
        token_expire_time, link_time, profile_time, update_time, revision)
    SELECT gen_random_uuid(), '1', n::text, 'a' || n, 'b' || n, 'shop/' || n % 100, 'user.' || n, 'business',
        CASE WHEN n % 2 = 0 THEN 'checkpoint' END, n, n, n, n, n, n, 1
    FROM generate_series(1, 20000) AS n;
    ANALYZE instagram_account";

/// How PostgreSQL finds what `query` asks for among many accounts, one line for each step.
#[expect(clippy::disallowed_methods, reason = "no port of ours makes names of schemas")]
async fn postgres_plan(query: impl FnOnce(&SeaOrmStore) -> Select<Entity>) -> String {
    let schema = format!("plan_{}", Uuid::now_v7().simple());
    let mut url: url::Url = test_server().parse().unwrap();
    let server = Database::open(&DatabaseSettings::of(url.as_str())).unwrap();
    let on_server = server.reading();
    on_server.execute_unprepared(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    url.query_pairs_mut().append_pair("options[search_path]", &schema);
    let database = Arc::new(Database::open(&DatabaseSettings::of(url.as_str())).unwrap());
    database.migrate().await.unwrap();
    database.reading().execute_unprepared(MANY).await.unwrap();

    let store = store(Arc::clone(&database));
    let Statement { sql, values, .. } = query(&store).build(DbBackend::Postgres);
    let explained =
        Statement { sql: format!("EXPLAIN {sql}"), values, db_backend: DbBackend::Postgres };
    let steps = database.reading().query_all_raw(explained).await.unwrap();
    let steps = steps.iter().map(|step| step.try_get_by_index::<String>(0).unwrap());
    let plan = steps.collect::<Vec<_>>().join("\n");
    database.close().await.unwrap();
    on_server.execute_unprepared(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
    plan
}

#[expect(clippy::disallowed_methods, reason = "tests read no settings but this one")]
fn test_server() -> String {
    let url = std::env::var("TEST_DATABASE_URL");
    url.expect("TEST_DATABASE_URL names no PostgreSQL: run `cargo xtask test`")
}

#[rstest]
#[case::by_our_id(AccountKey::Id(AccountId::from_uuid(Uuid::nil())), &["instagram_account_pkey"])]
#[case::by_instagram_id(
    AccountKey::Instagram("1".parse().unwrap()),
    &["account_professional_id", "account_app_scoped_id", "account_exchange_id"]
)]
#[case::by_username(AccountKey::Username("user.7".parse().unwrap()), &["account_username"])]
#[tokio::test]
async fn a_lookup_goes_by_an_index_in_postgres_too(
    #[case] key: AccountKey,
    #[case] indexes: &[&str],
) {
    for (step, index) in indexes.iter().enumerate() {
        let plan = postgres_plan(|store| store.lookups(&key).swap_remove(step)).await;
        assert!(!plan.contains("Seq Scan") && plan.contains(index), "{plan}");
    }
}

#[rstest]
#[case::all(OwnerScope::everyone(), "account_link_time")]
#[case::one_owners(OwnerScope::only("shop/7".parse().unwrap()), "account_owner")]
#[tokio::test]
async fn a_page_is_found_and_ordered_by_an_index_in_postgres_too(
    #[case] owners: OwnerScope,
    #[case] index: &str,
    #[values(None, Some(StatusFilter::Active), Some(StatusFilter::ReauthorizationRequired))]
    status: Option<StatusFilter>,
) {
    let after = Some((NOW, AccountId::from_uuid(Uuid::nil())));
    let now = OffsetDateTime::UNIX_EPOCH;
    let page = AccountPage { owners, status, now, after, limit: 50 };
    let plan = postgres_plan(|store| store.page(&page)).await;
    assert!(plan.contains(&format!("Index Scan Backward using {index}")), "{plan}");
    assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{plan}");
}
