//! A database file of its own for each test, and a second way into it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use ig_adapters::persistence::{Database, SeaOrmStore};
use ig_adapters::sealing::KeyRing;
use ig_domain::AppId;
use ig_domain::ports::StoreError;
use ig_test_support::contract::{Ports, StoreUnderTest};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions as _};
use tempfile::TempDir;

/// A database file in a folder that goes with it.
pub(crate) struct Sqlite {
    pub(crate) folder: TempDir,
    pub(crate) database: Arc<Database>,
}

impl Sqlite {
    /// A file that is yet to be made.
    pub(crate) fn missing() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&url(&folder.path().join("accounts.db")));
        Self { folder, database }
    }

    /// An empty database, up to date.
    pub(crate) async fn migrated() -> Self {
        let store = Self::missing();
        store.database.migrate().await.unwrap();
        store
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("accounts.db")
    }

    pub(crate) fn url(&self) -> String {
        url(&self.path())
    }

    /// A connection beside the store, to do to the rows what no store does.
    pub(crate) async fn connection(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.path()).connect().await.unwrap()
    }

    /// Runs one statement beside the store; returns how many rows it touched.
    pub(crate) async fn run(&self, statement: &str) -> u64 {
        let statement = sqlx::query(AssertSqlSafe(statement.to_owned()));
        statement.execute(&mut self.connection().await).await.unwrap().rows_affected()
    }

    /// Reads one number beside the store.
    pub(crate) async fn number(&self, statement: &str) -> i64 {
        let statement = sqlx::query_scalar(AssertSqlSafe(statement.to_owned()));
        statement.fetch_one(&mut self.connection().await).await.unwrap()
    }
}

#[async_trait]
impl StoreUnderTest for Sqlite {
    fn of_app(&self, app: AppId) -> Ports {
        ports(Arc::clone(&self.database), app, &key(1))
    }

    async fn end_leases(&self) {
        self.run("UPDATE link_attempt SET lease_end = 0 WHERE lease_end IS NOT NULL").await;
        self.run("UPDATE renewal_lease SET lease_end = 0").await;
    }
}

/// Opens a database as another process would.
pub(crate) fn open(url: &str) -> Arc<Database> {
    Arc::new(Database::open(url).unwrap())
}

fn url(path: &Path) -> String {
    format!("sqlite://{}?mode=rwc", path.display())
}

/// A key ring of one key; another number is another key of another id.
pub(crate) fn key(number: u8) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    format!("k{number}:{}", BASE64_STANDARD.encode([number; 32]))
}

/// The store of `app` in `database`, sealing under `keys`.
pub(crate) fn ports(database: Arc<Database>, app: AppId, keys: &str) -> Ports {
    let cipher: KeyRing = keys.parse().unwrap();
    let store = Arc::new(SeaOrmStore::new(database, app, Arc::new(cipher)));
    Ports {
        accounts: store.clone(),
        pending_links: store.clone(),
        link_attempts: store.clone(),
        renewal_leases: store.clone(),
        probe: store,
    }
}

/// Whether the store says that it cannot be reached.
pub(crate) fn is_unavailable<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable(_)))
}
