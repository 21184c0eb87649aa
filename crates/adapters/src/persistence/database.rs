//! A database: its connections and its writing transactions.

mod migrations;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use ig_domain::ports::{STORE_CALL_TIMEOUT, StoreError};
use sea_orm::sea_query::{InsertStatement, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    EntityTrait, FromQueryResult, QueryFilter, QueryResult, QuerySelect, TransactionTrait,
};
use secrecy::ExposeSecret as _;
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::entity::{account_token, link_attempt, user_key};
use super::error::{overloaded, stale_session, translate, unavailable};
use super::sessions::Sessions;
use super::sqlite::SqliteFile;
use super::sqlite_log::Rewriting;
use super::{DatabaseSettings, InvalidDatabaseUrl, postgres, sqlite};

/// Maximum wait of a write for its turn in this process, in SQLite. Ours: below [`STORE_CALL_TIMEOUT`], so that the
/// call ends with the true reason.
const WRITE_TURN_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum wait of a bulk read for its turn, before its [`STORE_CALL_TIMEOUT`] begins. Ours.
const BULK_READ_TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// A database of accounts, and its connections.
#[derive(Debug)]
pub struct Database {
    pub(super) engine: Engine,
    pub(super) sessions: Sessions,
    connections: DatabaseConnection,
    /// The runtime that drives the connections.
    pub(super) runtime: Handle,
    /// The probe's own, so that it waits behind no call.
    probe_connection: DatabaseConnection,
    /// Turns of reads that may take long: fewer than connections, so that other calls always have some.
    bulk_reads: Arc<Semaphore>,
    /// Number of writing transactions that were committed.
    commits: AtomicU64,
    /// Number of events that were written, whether they were committed or not.
    pub(super) events_written: AtomicU64,
    /// Whether something was erased that SQLite's log may still hold: at the start, too.
    pub(super) erased: AtomicBool,
    pub(super) rewriting: Rewriting,
    /// Moment, in microseconds, at which the log told last of a deletion that takes long.
    pub(super) long_erasure_told: AtomicI64,
    /// Wakes one that waits for a committed event.
    pub(super) event_committed: Notify,
}

/// The parts that differ between the databases.
#[derive(Debug)]
pub(super) enum Engine {
    Sqlite {
        file: SqliteFile,
        /// SQLite has one writer at a time. Queuing for it here is fair; only other processes are waited for inside
        /// SQLite.
        turn: Semaphore,
        /// The one connection that writes: what another writes would make its cache of pages void.
        writer: DatabaseConnection,
    },
    Postgres(Box<postgres::Server>),
}

impl Database {
    /// The database that `settings` name. Connects when first used, so it may be away; must be called within a
    /// Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`InvalidDatabaseUrl`] when they name none.
    pub fn open(settings: &DatabaseSettings) -> Result<Self, InvalidDatabaseUrl> {
        Self::open_with(settings, |file, sessions| {
            (file.connections(sessions), file.writer(sessions))
        })
    }

    /// The same database, for questions only: no file is created or changed by them, not even an SQLite log.
    ///
    /// # Errors
    ///
    /// [`InvalidDatabaseUrl`] when the settings name none.
    pub fn open_read_only(settings: &DatabaseSettings) -> Result<Self, InvalidDatabaseUrl> {
        Self::open_with(settings, |file, _| {
            let connections = file.read_only_connections();
            (connections.clone(), connections)
        })
    }

    fn open_with(
        settings: &DatabaseSettings,
        connections: impl FnOnce(&SqliteFile, &Sessions) -> (DatabaseConnection, DatabaseConnection),
    ) -> Result<Self, InvalidDatabaseUrl> {
        let DatabaseSettings { url, password } = settings;
        let (url, sessions) = (url.expose_secret(), Sessions::default());
        if postgres::is_meant(url) {
            let server = postgres::Server::new(url, password.as_ref(), sessions.clone())?;
            let number = postgres::MAX_CONNECTIONS;
            let (connections, probe_connection) =
                (server.connections(number), server.connections(1));
            return Ok(Self::with(
                Engine::Postgres(Box::new(server)),
                sessions,
                connections,
                probe_connection,
                number,
            ));
        }
        if password.is_some() {
            return Err(InvalidDatabaseUrl::PasswordForFile);
        }
        let file: SqliteFile = url.parse()?;
        let (connections, writer) = connections(&file, &sessions);
        // Opened when the probe first asks, which it does of a database that serves.
        let probe_connection = file.probe_connection(&sessions);
        let engine = Engine::Sqlite { file, turn: Semaphore::new(1), writer };
        Ok(Self::with(engine, sessions, connections, probe_connection, sqlite::MAX_CONNECTIONS))
    }

    fn with(
        engine: Engine,
        sessions: Sessions,
        connections: DatabaseConnection,
        probe_connection: DatabaseConnection,
        number: u32,
    ) -> Self {
        let bulk_reads = Arc::new(Semaphore::new(number as usize / 2));
        Self {
            engine,
            sessions,
            connections,
            runtime: Handle::current(),
            probe_connection,
            bulk_reads,
            commits: AtomicU64::new(0),
            events_written: AtomicU64::new(0),
            erased: AtomicBool::new(true),
            rewriting: Rewriting::default(),
            long_erasure_told: AtomicI64::new(0),
            event_committed: Notify::new(),
        }
    }

    /// Kind of the database, as a log calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite { .. } => "sqlite",
            Engine::Postgres(_) => "postgres",
        }
    }

    /// File of the sealing keys when none are configured: beside the database. `None` where the database is no file on
    /// this machine.
    #[must_use]
    pub fn key_file(&self) -> Option<PathBuf> {
        let Engine::Sqlite { file, .. } = &self.engine else { return None };
        Some(file.beside(".keys"))
    }

    /// Whether it is an SQLite file that is missing, and that [`migrate`](Self::migrate) will create.
    #[must_use]
    pub fn will_be_created(&self) -> bool {
        matches!(&self.engine, Engine::Sqlite { file, .. } if file.will_be_created())
    }

    /// Whether the database holds anything sealed, of whichever app.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], also while migrations are missing.
    pub async fn anything_sealed(&self) -> Result<bool, StoreError> {
        let sealed = bounded(async {
            let read = self.begin_read().await.map_err(|error| translate(&error))?;
            anything_sealed(&read).await.map_err(|error| translate(&error))
        });
        self.explained(sealed.await).await
    }

    /// Closes the connections once what runs on them has ended. In SQLite the last one of all processes moves
    /// what was written into the database file itself.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; nothing that was committed is lost then, it lies in the file beside.
    pub async fn close(&self) -> Result<(), StoreError> {
        bounded(async {
            let closed = self.probe_connection.close_by_ref().await;
            let mut closed = closed.and(self.connections.close_by_ref().await);
            if let Engine::Sqlite { writer, .. } = &self.engine {
                closed = closed.and(writer.close_by_ref().await);
            }
            closed.map_err(|error| translate(&error))
        })
        .await
    }

    /// The language of its statements.
    pub(super) fn backend(&self) -> DbBackend {
        self.connections.get_database_backend()
    }

    /// Connections for statements that only read.
    pub(super) fn reading(&self) -> &DatabaseConnection {
        &self.connections
    }

    /// The rows that one statement reads.
    pub(super) async fn read(
        &self,
        query: &SelectStatement,
    ) -> Result<Vec<QueryResult>, StoreError> {
        self.hold_connection().await?.read(query).await
    }

    /// The first row that one statement reads.
    pub(super) async fn read_one<M: FromQueryResult>(
        &self,
        query: &SelectStatement,
    ) -> Result<Option<M>, StoreError> {
        self.hold_connection().await?.read_one(query).await
    }

    /// Begins several reads.
    pub(super) async fn begin_read(&self) -> Result<DatabaseTransaction, DbErr> {
        match self.engine {
            Engine::Sqlite { .. } => self.connections.begin().await,
            Engine::Postgres(_) => postgres::begin_read(&self.connections).await,
        }
    }

    /// A turn of one read that may take long, until it is dropped.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when there is none in time.
    pub(super) async fn bulk_read_turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        turn_of(Arc::clone(&self.bulk_reads).acquire_owned(), BULK_READ_TURN_TIMEOUT).await
    }

    /// Begins to write. In SQLite, from here on nobody else does.
    pub(super) async fn begin_write(&self) -> Result<Write<'_>, StoreError> {
        let (connections, turn) = match &self.engine {
            Engine::Sqlite { turn, writer, .. } => (writer, Some(write_turn(turn).await?)),
            Engine::Postgres(_) => (&self.connections, None),
        };
        let transaction = self.begin_write_on(connections).await?;
        let events_written = self.events_written.load(Ordering::Relaxed);
        Ok(Write { transaction, database: self, events_written, _turn: turn })
    }

    /// Writes by one statement, in a transaction of its own; returns the number of rows.
    pub(super) async fn write_alone(&self, statement: &InsertStatement) -> Result<u64, StoreError> {
        let written = match &self.engine {
            Engine::Sqlite { turn, writer, .. } => {
                // A statement outside of a transaction is one: it saves two ways to SQLite's thread and back.
                let _turn = write_turn(turn).await?;
                let written = writer.execute(statement).await.map_err(|error| translate(&error))?;
                written.rows_affected()
            }
            Engine::Postgres(server) => {
                Box::pin(server.write_alone(&self.connections, statement)).await?
            }
        };
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(written)
    }

    /// Whether the database can serve, asked on a connection that no call has.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let commits = self.commits.load(Ordering::Relaxed);
        match self.begin_write_on(&self.probe_connection).await {
            Ok(write) => self.check_on(&write).await,
            // In SQLite others of ours may have had every turn to write meanwhile.
            Err(_) if self.commits.load(Ordering::Relaxed) > commits => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn begin_write_on(
        &self,
        connections: &DatabaseConnection,
    ) -> Result<DatabaseTransaction, StoreError> {
        match &self.engine {
            Engine::Sqlite { .. } => {
                sqlite::begin(connections).await.map_err(|error| translate(&error))
            }
            Engine::Postgres(server) => server.begin_write(connections).await,
        }
    }

    async fn check_on(&self, write: &DatabaseTransaction) -> Result<(), StoreError> {
        let missing = migrations::pending(write).await.map_err(|error| translate(&error))?;
        match missing.first() {
            Some(name) => Err(unavailable(format_args!(
                "migration {name} is missing: run `instagram-accounts migrate`"
            ))),
            None => self.check_writing(write).await,
        }
    }

    /// A store that can be read and not written serves no link.
    async fn check_writing(&self, write: &DatabaseTransaction) -> Result<(), StoreError> {
        match self.engine {
            Engine::Sqlite { .. } => {
                sqlite::write_nothing(write).await.map_err(|error| translate(&error))
            }
            Engine::Postgres(_) => match postgres::is_read_only(write).await {
                Ok(true) => Err(stale_session("the server only lets read")),
                Ok(false) => Ok(()),
                Err(error) => Err(translate(&error)),
            },
        }
    }
}

/// Waits for a turn to write, in SQLite.
pub(super) async fn write_turn(turns: &Semaphore) -> Result<SemaphorePermit<'_>, StoreError> {
    turn_of(turns.acquire(), WRITE_TURN_TIMEOUT).await
}

/// Waits for one of some turns.
async fn turn_of<P>(
    turn: impl Future<Output = Result<P, AcquireError>>,
    limit: Duration,
) -> Result<P, StoreError> {
    let waited = tokio::time::timeout(limit, turn).await;
    waited.map_err(overloaded)?.map_err(unavailable)
}

/// A writing transaction. Dropping it undoes it.
pub(super) struct Write<'a> {
    transaction: DatabaseTransaction,
    database: &'a Database,
    /// Their number at the beginning.
    events_written: u64,
    _turn: Option<SemaphorePermit<'a>>,
}

impl Write<'_> {
    /// Transaction on which the statements run.
    pub(super) fn on(&self) -> &DatabaseTransaction {
        &self.transaction
    }

    /// Commits the transaction.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(|error| translate(&error))?;
        self.database.commits.fetch_add(1, Ordering::Relaxed);
        // Where another transaction wrote them, somebody looks for nothing once.
        if self.database.events_written.load(Ordering::Relaxed) != self.events_written {
            self.database.event_committed.notify_one();
        }
        Ok(())
    }
}

/// Ends `work` at the limit of calls. The caller does not learn whether a write that is ended so took place.
pub(super) async fn bounded<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let done = tokio::time::timeout(STORE_CALL_TIMEOUT, work).await;
    done.unwrap_or_else(|_| {
        let seconds = STORE_CALL_TIMEOUT.as_secs();
        Err(unavailable(format_args!("no answer within {seconds} seconds")))
    })
}

async fn anything_sealed(connection: &DatabaseTransaction) -> Result<bool, DbErr> {
    let token = account_token::Entity::find().limit(1).one(connection).await?;
    if token.is_some() {
        return Ok(true);
    }
    if user_key::Entity::find().limit(1).one(connection).await?.is_some() {
        return Ok(true);
    }
    let attempt = link_attempt::Entity::find()
        .filter(link_attempt::Column::SealedToken.is_not_null())
        .limit(1)
        .one(connection);
    Ok(attempt.await?.is_some())
}

#[cfg(test)]
mod tests;
