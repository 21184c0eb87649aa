//! A database: its connections, its writing transactions, its migrations.

use std::collections::HashSet;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{StoreError, StoreProbe};
use ig_migrations::Migrator;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait,
    QueryFilter, QuerySelect,
};
use sea_orm_migration::{MigratorTrait, SchemaManager, seaql_migrations};
use secrecy::ExposeSecret as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::calls::Operation;
use super::entity::{account_token, link_attempt};
use super::error::{translate, unavailable};
use super::sqlite::SqliteFile;
use super::{DatabaseSettings, InvalidDatabaseUrl, SeaOrmStore, postgres, sqlite};

/// The longest that any call to the store takes.
const CALL_LIMIT: Duration = Duration::from_secs(4);

/// A database of accounts, and its connections.
#[derive(Debug)]
pub struct Database {
    engine: Engine,
    connections: DatabaseConnection,
}

/// What differs between the databases that we know.
#[derive(Debug)]
enum Engine {
    Sqlite {
        file: SqliteFile,
        /// SQLite has one writer at a time. Queuing for it here is fair, and leaves the other connections to
        /// readers; only other processes are waited for inside SQLite.
        turn: Semaphore,
    },
    Postgres,
}

impl Database {
    /// The database that `settings` name. Connects when first used, so it may be away; must be called within a
    /// Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`InvalidDatabaseUrl`] when they name none.
    pub fn open(settings: &DatabaseSettings) -> Result<Self, InvalidDatabaseUrl> {
        let DatabaseSettings { url, password } = settings;
        let url = url.expose_secret();
        if postgres::is_meant(url) {
            let connections = postgres::connections(url, password.as_ref())?;
            return Ok(Self { engine: Engine::Postgres, connections });
        }
        if password.is_some() {
            return Err(InvalidDatabaseUrl::PasswordForFile);
        }
        let file: SqliteFile = url.parse()?;
        let connections = file.connections();
        Ok(Self { engine: Engine::Sqlite { file, turn: Semaphore::new(1) }, connections })
    }

    /// What the database is, as a log calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite { .. } => "sqlite",
            Engine::Postgres => "postgres",
        }
    }

    /// Where the sealing keys are kept when none are configured: beside the database. `None` where it is no file
    /// on this machine.
    #[must_use]
    pub fn key_file(&self) -> Option<PathBuf> {
        let Engine::Sqlite { file, .. } = &self.engine else { return None };
        let mut path = file.path().as_os_str().to_owned();
        path.push(".keys");
        Some(path.into())
    }

    /// Takes all migrations that are missing, or none. Creates the file where the URL says `mode=rwc`. Safe
    /// when several start at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database cannot be reached; [`StoreError::Internal`] when a
    /// migration fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let migrated = match &self.engine {
            Engine::Sqlite { file, .. } => {
                let connection = file.migration_connection().await.map_err(unavailable)?;
                let migrated = migrate(sqlite::begin(&connection).await).await;
                migrated.and(connection.close().await)
            }
            Engine::Postgres => migrate(postgres::begin_migration(&self.connections).await).await,
        };
        migrated.map_err(|error| translate(&error))
    }

    /// The names of the migrations that are missing. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        bounded(async { pending(&self.connections).await.map_err(|error| translate(&error)) }).await
    }

    /// Whether the database holds any sealed token, of whichever app.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], also while migrations are missing.
    pub async fn anything_sealed(&self) -> Result<bool, StoreError> {
        bounded(async {
            let sealed = anything_sealed(&self.connections).await;
            sealed.map_err(|error| translate(&error))
        })
        .await
    }

    /// Closes the connections once what runs on them has ended. In SQLite the last one of all processes moves
    /// what was written into the database file itself.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; nothing that was committed is lost then, it lies in the file beside.
    pub async fn close(&self) -> Result<(), StoreError> {
        let closing = self.connections.close_by_ref();
        bounded(async { closing.await.map_err(|error| translate(&error)) }).await
    }

    /// What single reading statements run on.
    pub(super) fn reading(&self) -> &DatabaseConnection {
        &self.connections
    }

    /// Begins to write. In SQLite, from here on nobody else does.
    pub(super) async fn begin_write(&self) -> Result<Write<'_>, StoreError> {
        let (turn, begun) = match &self.engine {
            Engine::Sqlite { turn, .. } => {
                let turn = turn.acquire().await.map_err(unavailable)?;
                (Some(turn), sqlite::begin(&self.connections).await)
            }
            Engine::Postgres => (None, postgres::begin(&self.connections).await),
        };
        let transaction = begun.map_err(|error| translate(&error))?;
        Ok(Write { transaction, _turn: turn })
    }

    /// Whether what has begun may write. SQLite has refused the begin where it may not.
    async fn takes_writes(&self, on: &DatabaseTransaction) -> Result<bool, DbErr> {
        match self.engine {
            Engine::Sqlite { .. } => Ok(true),
            Engine::Postgres => postgres::is_read_only(on).await.map(|read_only| !read_only),
        }
    }
}

/// A writing transaction. Dropping it undoes it.
pub(super) struct Write<'a> {
    transaction: DatabaseTransaction,
    _turn: Option<SemaphorePermit<'a>>,
}

impl Write<'_> {
    /// What the transaction's statements run on.
    pub(super) fn on(&self) -> &DatabaseTransaction {
        &self.transaction
    }

    /// Makes all of it lasting.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(|error| translate(&error))
    }
}

/// Ends `work` at the limit. Whether a write that is ended so took place is unknown to the caller.
pub(super) async fn bounded<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let done = tokio::time::timeout(CALL_LIMIT, work).await;
    done.unwrap_or_else(|_| Err(unavailable("no answer within 4 seconds")))
}

#[async_trait]
impl StoreProbe for SeaOrmStore {
    async fn check(&self) -> Result<(), StoreError> {
        self.call(Operation::Probe, async {
            // A store that can be read and not written serves no link.
            let write = self.database.begin_write().await?;
            let takes_writes = self.database.takes_writes(write.on()).await;
            if !takes_writes.map_err(|error| translate(&error))? {
                return Err(unavailable("the server only lets read"));
            }
            let missing = pending(write.on()).await.map_err(|error| translate(&error))?;
            match missing.first() {
                Some(name) => Err(unavailable(format_args!(
                    "migration {name} is missing: run `instagram-accounts migrate`"
                ))),
                None => Ok(()),
            }
        })
        .await
    }
}

async fn migrate(begun: Result<DatabaseTransaction, DbErr>) -> Result<(), DbErr> {
    let transaction = begun?;
    Migrator::up(&transaction, None).await?;
    transaction.commit().await
}

async fn pending<C: ConnectionTrait>(connection: &C) -> Result<Vec<String>, DbErr>
where
    for<'a> &'a C: sea_orm_migration::IntoSchemaManagerConnection<'a>,
{
    let installed = SchemaManager::new(connection).has_table("seaql_migrations").await?;
    let taken = if installed {
        seaql_migrations::Entity::find().all(connection).await?
    } else {
        Vec::new()
    };
    let taken: HashSet<String> = taken.into_iter().map(|step| step.version).collect();
    let known = Migrator::migrations().into_iter().map(|step| step.name().to_owned());
    Ok(known.filter(|name| !taken.contains(name)).collect())
}

async fn anything_sealed(connection: &DatabaseConnection) -> Result<bool, DbErr> {
    let token = account_token::Entity::find().limit(1).one(connection).await?;
    if token.is_some() {
        return Ok(true);
    }
    let attempt = link_attempt::Entity::find()
        .filter(link_attempt::Column::SealedToken.is_not_null())
        .limit(1)
        .one(connection);
    Ok(attempt.await?.is_some())
}
