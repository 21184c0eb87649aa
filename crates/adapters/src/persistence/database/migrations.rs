//! The migrations of a database.

use std::collections::HashSet;

use ig_domain::ports::StoreError;
use ig_migrations::Migrator;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait};
use sea_orm_migration::{MigratorTrait, SchemaManager, seaql_migrations};
use tracing::warn;

use super::{Database, Engine, bounded};
use crate::persistence::error::{no_connection, translate};
use crate::persistence::sqlite;

/// The migration with which SQLite began to overwrite what is deleted. What was deleted before it lies in the file.
const SECURE_DELETE_SINCE: &str = "m20261129_000002_receive_callbacks";

impl Database {
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
                let connection = file.migration_connection().await.map_err(no_connection);
                let connection = self.explained(connection).await?;
                let begun = sqlite::begin(&connection).await.map_err(|error| translate(&error));
                let migrated = migrate(begun).await;
                if let Ok(taken) = &migrated
                    && taken.iter().any(|name| name == SECURE_DELETE_SINCE)
                {
                    overwrite_deleted(&connection).await;
                }
                let closed = connection.close().await.map_err(|error| translate(&error));
                migrated.and(closed)
            }
            Engine::Postgres(server) => {
                migrate(server.begin_migration(&self.connections).await).await.map(drop)
            }
        };
        self.explained(migrated).await
    }

    /// The names of the migrations that are missing. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        let missing = bounded(async {
            let read = self.begin_read().await.map_err(|error| translate(&error))?;
            pending(&read).await.map_err(|error| translate(&error))
        });
        self.explained(missing.await).await
    }
}

/// Takes all migrations that are missing, and returns their names.
async fn migrate(
    begun: Result<DatabaseTransaction, StoreError>,
) -> Result<Vec<String>, StoreError> {
    let transaction = begun?;
    let migrated = async {
        let missing = pending(&transaction).await?;
        Migrator::up(&transaction, None).await?;
        transaction.commit().await?;
        Ok(missing)
    };
    migrated.await.map_err(|error: DbErr| translate(&error))
}

/// Rewrites an SQLite file without what was deleted from it.
async fn overwrite_deleted(connection: &DatabaseConnection) {
    if let Err(error) = connection.execute_unprepared("VACUUM").await {
        warn!(
            %error,
            "what was deleted from the SQLite file so far could not be overwritten: run VACUUM on it"
        );
    }
}

/// The names of the migrations that are missing.
pub(super) async fn pending<C: ConnectionTrait>(connection: &C) -> Result<Vec<String>, DbErr>
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
