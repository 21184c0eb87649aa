//! SQLite's write-ahead log, which grows for as long as somebody reads, and is to be small again afterwards.

use std::fs;
use std::time::Duration;

use ig_domain::ports::StoreError;
use sea_orm::SqlxError;
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};

use super::Database;
use super::database::{Engine, bounded, write_turn};
use super::error::unavailable;
use super::sqlite::SqliteFile;

/// Maximum size of a log that nobody needs. Ours: twice what SQLite lets one grow to before it moves it into the file.
pub(super) const MAX_IDLE_LOG_BYTES: u64 = 8 * 1024 * 1024;

impl Database {
    /// Moves SQLite's log into the file and empties it, where it has grown large and nobody reads what is only there: a
    /// reader that takes long keeps it growing, and nothing else makes it small again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; the log is as it was then.
    pub async fn shrink_log(&self) -> Result<(), StoreError> {
        let Engine::Sqlite { file, turn } = &self.engine else { return Ok(()) };
        if !file.has_large_log() {
            return Ok(());
        }
        let emptied = bounded(async {
            let _turn = write_turn(turn).await?;
            file.empty_log().await.map_err(unavailable)
        });
        self.explained(emptied.await).await
    }
}

impl SqliteFile {
    /// Whether the log is larger than it need be. Costs one system call, so it blocks.
    fn has_large_log(&self) -> bool {
        let mut log = self.path().as_os_str().to_owned();
        log.push("-wal");
        fs::metadata(log).is_ok_and(|log| log.len() > MAX_IDLE_LOG_BYTES)
    }

    /// Moves the log into the file and empties it. Waits for nobody: where somebody reads or writes it stays, for now.
    async fn empty_log(&self) -> Result<(), SqlxError> {
        let mut connection = self.options(Duration::ZERO).connect().await?;
        let emptied = sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection);
        let emptied = emptied.await.map(drop);
        connection.close().await?;
        emptied
    }
}
