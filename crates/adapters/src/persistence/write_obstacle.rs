//! Obstacles to the writes of a server, found without writing anything.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;

use ig_domain::ports::StoreError;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, Statement};

use super::Database;
use super::database::{Engine, bounded};
use super::error::translate;
use super::postgres;

/// Privileges on each table that serving needs; docs/POSTGRESQL.md grants them.
const NEEDED: [(&str, &str); 17] = [
    ("account_event", "SELECT INSERT UPDATE DELETE"),
    ("account_survey", "SELECT INSERT UPDATE"),
    ("account_token", "SELECT INSERT UPDATE DELETE"),
    ("app_breaker", "SELECT INSERT UPDATE"),
    ("event_consumer", "SELECT INSERT UPDATE DELETE"),
    ("event_log", "SELECT INSERT UPDATE"),
    ("former_account", "SELECT INSERT UPDATE DELETE"),
    ("hosted_code", "SELECT INSERT UPDATE DELETE"),
    ("instagram_account", "SELECT INSERT UPDATE DELETE"),
    ("link_attempt", "SELECT INSERT UPDATE DELETE"),
    ("pending_link", "SELECT INSERT UPDATE DELETE"),
    ("renewal_lease", "SELECT INSERT UPDATE DELETE"),
    ("sealing_key", "SELECT INSERT"),
    ("seaql_migrations", "SELECT"),
    ("token_audit", "SELECT INSERT UPDATE DELETE"),
    ("user_key", "SELECT INSERT UPDATE"),
    ("user_removal", "SELECT INSERT UPDATE DELETE"),
];

/// Obstacle to the writes of a server.
#[derive(Debug, thiserror::Error)]
pub enum WriteObstacle {
    /// The SQLite file, one of those beside it, or their folder, in which SQLite keeps its log.
    #[error("{} cannot be written", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Sessions in PostgreSQL may only read, as those of a standby.
    #[error("sessions may only read")]
    ReadOnly,
    /// The role in PostgreSQL lacks these grants, such as `INSERT on token_audit`.
    #[error("the role lacks {}", .0.join(", "))]
    Grants(Vec<String>),
}

impl Database {
    /// The first file of SQLite's, or its folder, that is there and cannot be written. To be asked before the first
    /// connection is opened: closing a file gives up all locks that its process has on it.
    #[must_use]
    pub fn unwritable_file(&self) -> Option<WriteObstacle> {
        let Engine::Sqlite { file, .. } = &self.engine else { return None };
        if !file.path().exists() && !file.will_be_created() {
            return None;
        }
        let files = ["", "-wal", "-shm"].map(|suffix| file.beside(suffix));
        let files = files.into_iter().filter(|path| path.exists());
        let unwritable = files.map(|path| {
            let opened = OpenOptions::new().write(true).open(&path);
            (opened, path)
        });
        // One that has no name, where the file system knows such.
        let in_folder = (tempfile::tempfile_in(file.folder()), file.folder().to_owned());
        unwritable
            .chain([in_folder])
            .find_map(|(opened, path)| Some(WriteObstacle::File(path, opened.err()?)))
    }

    /// Obstacle to the role's writes in PostgreSQL. Tables that are missing are none: migrations make them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn refused_writing(&self) -> Result<Option<WriteObstacle>, StoreError> {
        let Engine::Postgres(_) = self.engine else { return Ok(None) };
        let asked = bounded(async {
            let session = self.begin_read().await.map_err(|error| translate(&error))?;
            refused(&session).await.map_err(|error| translate(&error))
        });
        self.explained(asked.await).await
    }
}

async fn refused(session: &DatabaseTransaction) -> Result<Option<WriteObstacle>, DbErr> {
    if postgres::is_read_only(session).await? {
        return Ok(Some(WriteObstacle::ReadOnly));
    }
    let question = Statement::from_string(session.get_database_backend(), missing_grants());
    let missing = session.query_all_raw(question).await?;
    let missing: Result<Vec<String>, _> =
        missing.iter().map(|row| row.try_get("", "missing")).collect();
    Ok(Some(missing?).filter(|missing| !missing.is_empty()).map(WriteObstacle::Grants))
}

fn missing_grants() -> String {
    let needed = NEEDED.map(|(table, grants)| format!("('{table}', '{grants}')")).join(", ");
    format!(
        "SELECT privilege || ' on ' || name AS missing \
         FROM (VALUES {needed}) AS needed (name, privileges), \
         regexp_split_to_table(privileges, ' ') AS privilege \
         WHERE NOT has_table_privilege(to_regclass(name), privilege) ORDER BY name, privilege"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sea_orm::DbBackend;

    use super::*;
    use crate::persistence::plans::sqlite_database;

    #[tokio::test]
    async fn the_grants_name_every_table_of_the_migrations() {
        let (_folder, database) = sqlite_database().await;
        let question = "SELECT name FROM sqlite_master \
                        WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let question = Statement::from_string(DbBackend::Sqlite, question);
        let tables = database.reading().query_all_raw(question).await.unwrap();
        let tables: Vec<String> =
            tables.iter().map(|row| row.try_get("", "name").unwrap()).collect();
        let mut needed = NEEDED.map(|(table, _)| table);
        needed.sort_unstable();
        assert_eq!(tables, needed);
    }

    #[test]
    fn the_page_grants_what_is_needed_and_no_more() {
        let page = include_str!("../../../../docs/POSTGRESQL.md");
        let mut granted = BTreeSet::new();
        for statement in page.split("```").flat_map(|block| block.split(';')) {
            let statement = statement.trim_start().trim_start_matches("sql\n");
            let Some((grants, to)) =
                statement.strip_prefix("GRANT ").and_then(|grant| grant.split_once(" ON "))
            else {
                continue;
            };
            for table in to.split(" TO ").next().unwrap_or_default().split(',') {
                for grant in grants.split(", ") {
                    granted.insert((table.trim().to_owned(), grant.to_owned()));
                }
            }
        }
        let needed = NEEDED.iter().flat_map(|(table, grants)| {
            grants.split(' ').map(|grant| ((*table).to_owned(), grant.to_owned()))
        });
        let schema = ("SCHEMA public".to_owned(), "USAGE".to_owned());
        assert_eq!(granted, needed.chain([schema]).collect());
    }
}
