//! SQLite's write-ahead log, which grows for as long as somebody reads, and is to be small again afterwards.

use std::fs;
use std::sync::atomic::Ordering;
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

/// Maximum time that the emptying of a log that holds what was erased waits for readers, each of whom reads by single
/// statements.
const MAX_READER_WAIT: Duration = Duration::from_secs(1);

impl Database {
    /// Notes that something was erased which is still in SQLite's log.
    pub(super) fn note_erased(&self) {
        self.erased.store(true, Ordering::Relaxed);
    }

    /// Moves SQLite's log into the file and empties it, where it has grown large or holds what was erased since, and
    /// nobody reads what is only there: a reader that takes long keeps it growing, and nothing else makes it small
    /// again. Where somebody reads, the next call tries again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; the log is as it was then.
    pub async fn shrink_log(&self) -> Result<(), StoreError> {
        let Engine::Sqlite { file, turn } = &self.engine else { return Ok(()) };
        let erased = self.erased.swap(false, Ordering::Relaxed);
        if !erased && !file.has_large_log() {
            return Ok(());
        }
        let wait = if erased { MAX_READER_WAIT } else { Duration::ZERO };
        let emptied = bounded(async {
            let _turn = write_turn(turn).await?;
            file.empty_log(wait).await.map_err(unavailable)
        });
        let emptied = emptied.await;
        if erased && !matches!(emptied, Ok(true)) {
            self.erased.store(true, Ordering::Relaxed);
        }
        self.explained(emptied.map(drop)).await
    }
}

impl SqliteFile {
    /// Whether the log is larger than it need be. Costs one system call, so it blocks.
    fn has_large_log(&self) -> bool {
        let mut log = self.path().as_os_str().to_owned();
        log.push("-wal");
        fs::metadata(log).is_ok_and(|log| log.len() > MAX_IDLE_LOG_BYTES)
    }

    /// Moves the log into the file and empties it. `false` where somebody reads or writes for longer than `wait`: it
    /// stays, for now.
    async fn empty_log(&self, wait: Duration) -> Result<bool, SqlxError> {
        let mut connection = self.options(wait).connect().await?;
        // Its first column says whether somebody was in the way.
        let busy = sqlx::query_scalar::<_, i64>("PRAGMA wal_checkpoint(TRUNCATE)");
        let busy = busy.fetch_one(&mut connection).await;
        connection.close().await?;
        Ok(busy? == 0)
    }
}
