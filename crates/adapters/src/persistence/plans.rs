//! Query plans of the databases.

use std::sync::Arc;

use ig_domain::AppId;
use ig_metrics::Registry;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;
use uuid::Uuid;

use super::{Database, DatabaseSettings, SeaOrmStore, StoreMeter};
use crate::sealing::KeyRing;

/// State of most accounts; few are in the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Common {
    Active,
    Marked,
}

/// The store of app 1.
pub(super) fn store(database: &Arc<Database>) -> SeaOrmStore {
    metered_store(database, &mut Registry::new("test", "1"))
}

/// The store of app 1, whose calls are counted in `registry`.
pub(super) fn metered_store(database: &Arc<Database>, registry: &mut Registry) -> SeaOrmStore {
    let app: AppId = "1".parse().unwrap();
    let keys = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let cipher: KeyRing = keys.parse().unwrap();
    let meter = StoreMeter::register(registry);
    SeaOrmStore::new(Arc::clone(database), app, Arc::new(cipher), meter)
}

/// An empty database in SQLite, and the folder that it is in.
pub(super) async fn sqlite_database() -> (TempDir, Arc<Database>) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("a.db").display());
    let database = Arc::new(Database::open(&DatabaseSettings::of(&url)).unwrap());
    database.migrate().await.unwrap();
    (folder, database)
}

/// An empty database in PostgreSQL, which nobody else uses: what is open in one keeps `VACUUM` from its work there.
pub(super) struct TestDatabase {
    server: Database,
    name: String,
    pub(super) database: Arc<Database>,
}

impl TestDatabase {
    #[expect(clippy::disallowed_methods, reason = "no port of ours makes names of databases")]
    pub(super) async fn migrated() -> Self {
        let name = format!("plan_{}", Uuid::now_v7().simple());
        let mut url: url::Url = test_server().parse().unwrap();
        let server = Database::open(&DatabaseSettings::of(url.as_str())).unwrap();
        server.reading().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        url.set_path(&name);
        let database = Arc::new(Database::open(&DatabaseSettings::of(url.as_str())).unwrap());
        database.migrate().await.unwrap();
        Self { server, name, database }
    }

    /// One with many accounts and events.
    pub(super) async fn with_accounts(common: Common) -> Self {
        let own = Self::migrated().await;
        let connection = own.database.reading();
        connection.execute_unprepared(&many(common)).await.unwrap();
        // As the server does by itself after a while: before, an index alone counts nothing.
        connection.execute_unprepared("VACUUM ANALYZE instagram_account").await.unwrap();
        connection.execute_unprepared(MANY_EVENTS).await.unwrap();
        connection.execute_unprepared("VACUUM ANALYZE account_event").await.unwrap();
        own
    }

    pub(super) async fn drop(self) {
        self.database.close().await.unwrap();
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        self.server.reading().execute_unprepared(&drop).await.unwrap();
    }
}

/// Plan of SQLite for each of the queries, step by step.
pub(super) async fn sqlite(
    queries: impl FnOnce(&SeaOrmStore) -> Vec<SelectStatement>,
) -> Vec<Vec<String>> {
    let (_folder, database) = sqlite_database().await;
    let mut plans = Vec::new();
    for query in queries(&store(&database)) {
        plans.push(explained(&database, "EXPLAIN QUERY PLAN", &query, "detail").await);
    }
    plans
}

/// Plan of PostgreSQL for each of the queries among many accounts, step by step.
pub(super) async fn postgres(
    common: Common,
    queries: impl FnOnce(&SeaOrmStore) -> Vec<SelectStatement>,
) -> Vec<Vec<String>> {
    let own = TestDatabase::with_accounts(common).await;
    let mut plans = Vec::new();
    for query in queries(&store(&own.database)) {
        plans.push(explained(&own.database, "EXPLAIN", &query, "QUERY PLAN").await);
    }
    own.drop().await;
    plans
}

pub(super) async fn explained(
    database: &Database,
    explain: &str,
    query: &SelectStatement,
    column: &str,
) -> Vec<String> {
    let connection = database.reading();
    let statement = connection.get_database_backend().build(query);
    let statement = Statement { sql: format!("{explain} {}", statement.sql), ..statement };
    let steps = connection.query_all_raw(statement).await.unwrap();
    steps.iter().map(|step| step.try_get("", column).unwrap()).collect()
}

/// SQL that inserts so many events that a full scan is dear. Ten have no number.
const MANY_EVENTS: &str = "INSERT INTO account_event (app_id, number, event_id, kind, event_time, account_id,
        professional_account_id, owner, revision, cause)
    SELECT '1', CASE WHEN n <= 19990 THEN n END, gen_random_uuid(), 'LINKED', n::bigint * 1000000, gen_random_uuid(),
        n::text, '', 1, 'FIRST'
    FROM generate_series(1, 20000) AS n";

/// SQL that inserts so many accounts that a full scan is dear, every hundredth of one owner; one in a thousand is not
/// in the common state.
fn many(common: Common) -> String {
    let rare = match common {
        Common::Active => "= 7",
        Common::Marked => "<> 7",
    };
    format!(
        "INSERT INTO instagram_account (id, app_id, professional_account_id, app_scoped_user_id,
            exchange_user_id, owner, username, account_type, refused, consent_time, token_issue_time,
            token_expire_time, link_time, profile_time, update_time, revision, event_revision)
        SELECT gen_random_uuid(), '1', n::text, 'a' || n, 'b' || n, 'shop/' || n % 100, 'user.' || n, 'business',
            CASE WHEN n % 1000 {rare} THEN 'checkpoint' END, n, n, n, n, n, n, 1, 1
        FROM generate_series(1, 20000) AS n"
    )
}

#[expect(clippy::disallowed_methods, reason = "tests read no settings but this one")]
fn test_server() -> String {
    let url = std::env::var("TEST_DATABASE_URL");
    url.expect("TEST_DATABASE_URL names no PostgreSQL: run `cargo xtask test`")
}
