//! A database of its own for each test, and a second way into it.

mod postgres;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ig_adapters::persistence::{Database, DatabaseSettings, SeaOrmStore, StoreMeter};
use ig_adapters::sealing::KeyRing;
use ig_domain::ports::{AuditPage, StoreError};
use ig_domain::{AppId, AuditEntry};
use ig_metrics::Registry;
use ig_test_support::contract::{AuditReader, Ports, StoreUnderTest};

pub(crate) use self::postgres::Postgres;
pub(crate) use self::sqlite::Sqlite;

/// A database, and what a test does to it beside the store.
#[async_trait]
pub(crate) trait TestDatabase: StoreUnderTest {
    /// The database as the store's process has it.
    fn database(&self) -> &Arc<Database>;

    /// URL by which another process would open it.
    fn url(&self) -> String;

    /// Runs one statement beside the store; returns how many rows it touched.
    async fn run(&self, statement: &str) -> u64;

    /// Reads one number beside the store.
    async fn number(&self, statement: &str) -> i64;

    /// All rows of all tables, as text.
    async fn dump(&self) -> String;
}

/// The databases that we know.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

impl On {
    /// A database in which nothing is; in SQLite, not even its file.
    pub(crate) async fn unmigrated(self) -> Box<dyn TestDatabase> {
        match self {
            Self::Sqlite => Box::new(Sqlite::missing()),
            Self::Postgres => Box::new(Postgres::empty().await),
        }
    }

    /// A database without tables.
    pub(crate) async fn empty(self) -> Box<dyn TestDatabase> {
        match self {
            Self::Sqlite => Box::new(Sqlite::empty()),
            Self::Postgres => Box::new(Postgres::empty().await),
        }
    }

    /// An empty database, up to date.
    pub(crate) async fn migrated(self) -> Box<dyn TestDatabase> {
        let store = self.unmigrated().await;
        store.database().migrate().await.unwrap();
        store
    }
}

/// Lets every lease end.
async fn end_leases(database: &dyn TestDatabase) {
    database.run("UPDATE link_attempt SET lease_end = 0 WHERE lease_end IS NOT NULL").await;
    database.run("UPDATE renewal_lease SET lease_end = 0").await;
    database.run("UPDATE event_consumer SET lease_end = 0 WHERE lease_end IS NOT NULL").await;
}

/// Lets every lease end a day later, as it does by a clock that was set back.
async fn set_clock_back(database: &dyn TestDatabase) {
    database.run("UPDATE link_attempt SET lease_end = lease_end + 86400000000").await;
    database.run("UPDATE renewal_lease SET lease_end = lease_end + 86400000000").await;
    database.run("UPDATE event_consumer SET lease_end = lease_end + 86400000000").await;
}

/// Lets all events, and the last openings of consumers, be older by `span`.
async fn age_events(database: &dyn TestDatabase, span: Duration) {
    let micros = span.as_micros();
    for (table, column) in [
        ("account_event", "event_time"),
        ("event_log", "purged_time"),
        ("event_consumer", "open_time"),
    ] {
        database.run(&format!("UPDATE {table} SET {column} = {column} - {micros}")).await;
    }
}

/// Opens a database as another process would.
pub(crate) fn open(url: &str) -> Arc<Database> {
    Arc::new(Database::open(&DatabaseSettings::of(url)).unwrap())
}

/// A key ring of one key; another number is another key of another id.
pub(crate) fn key(number: u8) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    format!("k{number}:{}", BASE64_STANDARD.encode([number; 32]))
}

/// The store of `app` in `database`, sealing under `keys`.
pub(crate) fn store(database: Arc<Database>, app: AppId, keys: &str) -> SeaOrmStore {
    let cipher: KeyRing = keys.parse().unwrap();
    let meter = StoreMeter::register(&mut Registry::new("test", "1"));
    SeaOrmStore::new(database, app, Arc::new(cipher), meter)
}

/// The ports of this store.
pub(crate) fn ports(database: Arc<Database>, app: AppId, keys: &str) -> Ports {
    let audit = ShownAudit { database: database.clone(), app: app.clone() };
    let store = Arc::new(store(database, app, keys));
    Ports {
        accounts: store.clone(),
        account_writer: store.clone(),
        pending_links: store.clone(),
        link_attempts: store.clone(),
        hosted_codes: store.clone(),
        renewal_leases: store.clone(),
        due_accounts: store.clone(),
        breaker: store.clone(),
        surveys: store.clone(),
        event_log: store.clone(),
        event_survey: store.clone(),
        consumers: store.clone(),
        restoration: store.clone(),
        user_removals: store.clone(),
        user_deletions: store.clone(),
        webhooks: store.clone(),
        audit: store.clone(),
        audit_reader: Arc::new(audit),
        key_checks: store.clone(),
        probe: store,
    }
}

/// The audit of one app, as the command `audit` shows it.
struct ShownAudit {
    database: Arc<Database>,
    app: AppId,
}

#[async_trait]
impl AuditReader for ShownAudit {
    async fn entries(&self, page: &AuditPage) -> Result<Vec<AuditEntry>, StoreError> {
        self.database.audit_entries(Some(&self.app), page).await
    }
}

/// Whether the store says that it cannot be reached.
pub(crate) fn is_unavailable<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable(_)))
}
