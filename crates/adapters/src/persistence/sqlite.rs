//! Opening an SQLite file so that its loss is noticed and its return too.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::pool::PoolConnectionMetadata;
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    SqliteTransactionMode, SqlxError, SqlxSqliteConnector, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::seaql_migrations;

use super::InvalidDatabaseUrl;
use super::error::is_busy;
use super::sessions::Sessions;
use super::sqlite_log::MAX_IDLE_LOG_BYTES;

/// Maximum number of connections that read.
pub(super) const MAX_CONNECTIONS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum time that a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum time that the probe waits for anybody's transaction: shorter than its caller waits.
const PROBE_BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum time that migrations wait for another process's.
const MIGRATION_LOCK_TIMEOUT: Duration = Duration::from_mins(1);
const RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// Cache of the connection that writes: the negative is in KiB. Ours.
const WRITER_CACHE: &str = "-16384";

/// The file that a URL names.
#[derive(Clone, Debug)]
pub(super) struct SqliteFile {
    path: PathBuf,
    create: bool,
}

impl FromStr for SqliteFile {
    type Err = InvalidDatabaseUrl;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let (file, parameters) = url.split_once('?').unwrap_or((url, ""));
        let name = file.strip_prefix("sqlite:").ok_or(InvalidDatabaseUrl::Scheme)?;
        if name.trim_start_matches('/').starts_with(":memory:") || parameters == "mode=memory" {
            return Err(InvalidDatabaseUrl::InMemory);
        }
        let create = match parameters {
            "" | "mode=rw" => false,
            "mode=rwc" => true,
            _ => return Err(InvalidDatabaseUrl::Parameter),
        };
        let options: SqliteConnectOptions = file.parse().map_err(|_| InvalidDatabaseUrl::File)?;
        let path = options.get_filename().to_owned();
        let named = path.file_name().is_some() && !path.as_os_str().as_encoded_bytes().contains(&0);
        if named { Ok(Self { path, create }) } else { Err(InvalidDatabaseUrl::File) }
    }
}

impl SqliteFile {
    /// Path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Absolute path of the file: a relative one says nothing in a log.
    pub(super) fn absolute_path(&self) -> String {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        path.display().to_string()
    }

    /// Connections that read, opened when first needed. They never create the file: one that was taken away
    /// must be missed, not replaced by an empty one.
    pub(super) fn connections(&self, sessions: &Sessions) -> DatabaseConnection {
        self.pool(MAX_CONNECTIONS, self.options(BUSY_TIMEOUT), sessions)
    }

    /// The connection that writes, like those that read.
    pub(super) fn writer(&self, sessions: &Sessions) -> DatabaseConnection {
        let options = self.options(BUSY_TIMEOUT);
        // What a statement has changed is noted in memory, not in a file, until the statement ends.
        let options = options.pragma("temp_store", "MEMORY").pragma("cache_size", WRITER_CACHE);
        self.pool(1, options, sessions)
    }

    /// The probe's own connection, like those for serving.
    pub(super) fn probe_connection(&self, sessions: &Sessions) -> DatabaseConnection {
        self.pool(1, self.options(PROBE_BUSY_TIMEOUT), sessions)
    }

    fn pool(
        &self,
        number: u32,
        options: SqliteConnectOptions,
        sessions: &Sessions,
    ) -> DatabaseConnection {
        let watch = Arc::new(FileWatch::new(self.path.clone()));
        let (opened, sessions) = (Arc::clone(&watch), sessions.clone());
        let pool = SqlitePoolOptions::new()
            .max_connections(number)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .after_connect(move |_, _| {
                opened.look();
                Box::pin(async { Ok(()) })
            })
            .before_acquire(move |_, connection| {
                let fresh = watch.still_has(&connection) && sessions.may_use(connection.age);
                Box::pin(async move { Ok(fresh) })
            })
            .connect_lazy_with(options);
        SqlxSqliteConnector::from_sqlx_sqlite_pool(pool)
    }

    /// A connection that creates and changes no file.
    pub(super) fn read_only_connections(&self) -> DatabaseConnection {
        // Without a log nobody else has the file open. A reader would create one, unless it is told that the file
        // does not change.
        let options =
            self.options(BUSY_TIMEOUT).read_only(true).immutable(!self.beside("-wal").exists());
        let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
        SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.connect_lazy_with(options))
    }

    /// Whether the file is missing, and can be created in its folder.
    pub(super) fn will_be_created(&self) -> bool {
        self.create && !self.path.exists() && self.folder().is_dir()
    }

    /// The folder that it is in.
    pub(super) fn folder(&self) -> &Path {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }

    /// The file beside it whose name goes on with `suffix`.
    pub(super) fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(suffix);
        path.into()
    }

    /// One connection for migrations, which may create the file where the URL says so.
    pub(super) async fn migration_connection(&self) -> Result<DatabaseConnection, SqlxError> {
        // The file remembers this mode. The first to switch to it makes others fail at once as busy.
        let options = self
            .options(MIGRATION_LOCK_TIMEOUT)
            .create_if_missing(self.create)
            .journal_mode(SqliteJournalMode::Wal);
        let give_up = Instant::now() + MIGRATION_LOCK_TIMEOUT;
        loop {
            match single(options.clone()).await {
                Err(error) if is_busy(&error) && Instant::now() < give_up => {
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
                pool => return pool.map(SqlxSqliteConnector::from_sqlx_sqlite_pool),
            }
        }
    }

    /// FULL syncs the log at every commit. NORMAL would be faster and could lose the last commits to a power
    /// cut: a token that Instagram gives only once, or the mark that a code was sent.
    pub(super) fn options(&self, busy_timeout: Duration) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(busy_timeout)
            .pragma("journal_size_limit", MAX_IDLE_LOG_BYTES.to_string())
            // What is deleted is overwritten: a token, or the data of a person who wants it gone.
            .pragma("secure_delete", "ON")
            .disable_statement_logging()
    }
}

/// Begins to write. The lock is taken at the begin: a transaction that reads first and then asks for it fails as
/// soon as another has written in between.
pub(super) async fn begin(connections: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
    let immediate = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
    connections.begin_with_options(immediate).await
}

/// Writes, and changes nothing: SQLite begins a transaction as asked also where the file cannot be written.
pub(super) async fn write_nothing(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    let version = Expr::col(seaql_migrations::Column::Version);
    let nothing = seaql_migrations::Entity::update_many()
        .col_expr(seaql_migrations::Column::Version, version)
        .filter(Expr::val(0).eq(1));
    nothing.exec(transaction).await.map(drop)
}

async fn single(options: SqliteConnectOptions) -> Result<SqlitePool, SqlxError> {
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
    pool.connect_with(options).await
}

/// Notices that another file, or none, is where the database was.
///
/// A connection holds the file that it opened, wherever that has gone: it would read and write on, and
/// nobody would see it.
struct FileWatch {
    path: PathBuf,
    seen: Mutex<Sighting>,
}

/// The file at the path, by device and inode, and the moment it was first seen.
#[derive(Clone, Copy)]
struct Sighting {
    file: Option<(u64, u64)>,
    since: Instant,
}

impl FileWatch {
    fn new(path: PathBuf) -> Self {
        Self { path, seen: Mutex::new(Sighting { file: None, since: Instant::now() }) }
    }

    /// Looks at the path. Costs one system call of a few microseconds, so it blocks.
    fn look(&self) -> Sighting {
        let file = fs::metadata(&self.path).ok().map(|file| (file.dev(), file.ino()));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.file != file {
            *seen = Sighting { file, since: Instant::now() };
        }
        *seen
    }

    /// Whether the connection was opened on the file that is there now.
    fn still_has(&self, connection: &PoolConnectionMetadata) -> bool {
        let Sighting { file, since } = self.look();
        file.is_some() && since.elapsed() >= connection.age
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::relative("sqlite://accounts.db", "accounts.db", false)]
    #[case::without_slashes("sqlite:accounts.db?mode=rwc", "accounts.db", true)]
    #[case::absolute("sqlite:///data/accounts.db?mode=rw", "/data/accounts.db", false)]
    #[case::encoded("sqlite://my%20accounts%3F.db", "my accounts?.db", false)]
    fn a_url_names_a_file(#[case] url: &str, #[case] path: &str, #[case] create: bool) {
        let file: SqliteFile = url.parse().unwrap();
        assert_eq!((file.path(), file.create), (Path::new(path), create));
        let absolute = file.absolute_path();
        assert!(absolute.starts_with('/') && absolute.ends_with(path), "{absolute}");
    }

    #[rstest]
    #[case::empty("", InvalidDatabaseUrl::Scheme)]
    #[case::other("mysql://user:password@host/db", InvalidDatabaseUrl::Scheme)]
    #[case::in_memory("sqlite::memory:", InvalidDatabaseUrl::InMemory)]
    #[case::in_memory_with_slashes("sqlite://:memory:", InvalidDatabaseUrl::InMemory)]
    #[case::in_memory_by_mode("sqlite://a.db?mode=memory", InvalidDatabaseUrl::InMemory)]
    #[case::read_only("sqlite://a.db?mode=ro", InvalidDatabaseUrl::Parameter)]
    #[case::immutable("sqlite://a.db?mode=rw&immutable=1", InvalidDatabaseUrl::Parameter)]
    #[case::no_file("sqlite://", InvalidDatabaseUrl::File)]
    #[case::only_a_folder("sqlite:///", InvalidDatabaseUrl::File)]
    #[case::not_utf8("sqlite://%ff.db", InvalidDatabaseUrl::File)]
    #[case::nul("sqlite://a%00.db", InvalidDatabaseUrl::File)]
    fn a_url_that_cannot_serve_is_refused(#[case] url: &str, #[case] expected: InvalidDatabaseUrl) {
        let refused = url.parse::<SqliteFile>().unwrap_err();
        assert_eq!(refused, expected);
        assert!(refused.to_string().starts_with("DATABASE_URL"));
    }

    #[test]
    fn a_password_for_a_file_is_refused() {
        let settings = crate::persistence::DatabaseSettings {
            url: "sqlite://accounts.db".into(),
            password: Some("planted".into()),
        };
        let refused = crate::persistence::Database::open(&settings).unwrap_err();
        assert_eq!(refused, InvalidDatabaseUrl::PasswordForFile);
        assert!(!format!("{settings:?}").contains("planted"));
    }

    proptest! {
        #[test]
        fn reading_a_url_never_panics(rest in ".{0,100}") {
            let _ = format!("sqlite:{rest}").parse::<SqliteFile>();
        }
    }
}
