//! SQLite's write-ahead log, which grows for as long as somebody reads, and is to be small again afterwards; and the
//! file, which keeps pieces of what was erased until it is rewritten.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ig_domain::ports::{STORE_CALL_TIMEOUT, StoreError};
use sea_orm::SqlxError;
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};
use tracing::warn;

use super::Database;
use super::database::{Engine, bounded, write_turn};
use super::error::unavailable;
use super::sqlite::SqliteFile;

/// Maximum size of a log that nobody needs. Ours: twice what SQLite lets one grow to before it moves it into the file.
pub(super) const MAX_IDLE_LOG_BYTES: u64 = 8 * 1024 * 1024;

/// Maximum time that the emptying of a log that holds what was erased waits for readers, each of whom reads by single
/// statements.
const MAX_READER_WAIT: Duration = Duration::from_secs(1);

/// Maximum size in bytes of a file that is rewritten while it serves: nobody writes meanwhile. Ours: a second's work or
/// so.
const MAX_REWRITTEN_BYTES: u64 = 64 * 1024 * 1024;

/// Time after a rewriting in which there is no other, as a multiple of what it took.
const REWRITE_REST: u32 = 100;

/// Maximum of that time: what was erased is nowhere within a minute.
const MAX_REWRITE_REST: Duration = Duration::from_secs(20);

/// The rewriting of the file: SQLite overwrites the cells that it frees, but not the copies that it leaves in a page
/// when it moves cells to another.
#[derive(Debug)]
pub(super) struct Rewriting {
    /// Whether something was erased since the last one: at the start, too.
    wanted: AtomicBool,
    rest_end: Mutex<Option<Instant>>,
    /// Whether this process has erased something.
    has_erased: AtomicBool,
    told_too_large: AtomicBool,
}

impl Default for Rewriting {
    fn default() -> Self {
        Self {
            wanted: AtomicBool::new(true),
            rest_end: Mutex::default(),
            has_erased: AtomicBool::new(false),
            told_too_large: AtomicBool::new(false),
        }
    }
}

impl Rewriting {
    /// Whether the file is to be rewritten now.
    fn is_due(&self, file: &SqliteFile) -> bool {
        let rest_end = *self.rest_end.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = self.wanted.load(Ordering::Relaxed)
            && rest_end.is_none_or(|rest_end| Instant::now() >= rest_end);
        if !is_due || size_of(file.path()) <= MAX_REWRITTEN_BYTES {
            return is_due;
        }
        let has_erased = self.has_erased.load(Ordering::Relaxed);
        if has_erased && !self.told_too_large.swap(true, Ordering::Relaxed) {
            warn!(
                "the SQLite file is too large to be rewritten while it serves, and may keep pieces of what is erased: run VACUUM on it in a quiet hour"
            );
        }
        false
    }

    /// Rests as after a rewriting that took so long.
    fn rest(&self, took: Duration) {
        let rest_end = Instant::now() + (took * REWRITE_REST).min(MAX_REWRITE_REST);
        *self.rest_end.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest_end);
    }
}

impl Database {
    /// Notes that something was erased which is still in SQLite's log, and perhaps in its file.
    pub(super) fn note_erased(&self) {
        self.rewriting.wanted.store(true, Ordering::Relaxed);
        self.rewriting.has_erased.store(true, Ordering::Relaxed);
        self.erased.store(true, Ordering::Relaxed);
    }

    /// Moves SQLite's log into the file and empties it, where it has grown large or holds what was erased since, and
    /// nobody reads what is only there: a reader that takes long keeps it growing, and nothing else makes it small
    /// again. Where somebody reads, the next call tries again. Rewrites the file, too, where something was erased, once
    /// in twenty seconds at most.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; the log is as it was then.
    pub async fn shrink_log(&self) -> Result<(), StoreError> {
        let Engine::Sqlite { file, turn, .. } = &self.engine else { return Ok(()) };
        let rewrites = self.rewriting.is_due(file);
        let erased = self.erased.swap(false, Ordering::Relaxed) || rewrites;
        if !erased && !file.has_large_log() {
            return Ok(());
        }
        let wait = if erased { MAX_READER_WAIT } else { Duration::ZERO };
        let shrunk = bounded(async {
            let _turn = write_turn(turn).await?;
            let emptied = file.empty_log(wait).await.map_err(unavailable)?;
            if !emptied || !rewrites {
                return Ok(emptied);
            }
            self.rewrite(file, wait).await?;
            file.empty_log(wait).await.map_err(unavailable)
        });
        let shrunk = shrunk.await;
        if erased && !matches!(shrunk, Ok(true)) {
            self.erased.store(true, Ordering::Relaxed);
        }
        self.explained(shrunk.map(drop)).await
    }

    async fn rewrite(&self, file: &SqliteFile, wait: Duration) -> Result<(), StoreError> {
        // As long as it may take: the work may be dropped before its end.
        self.rewriting.rest(STORE_CALL_TIMEOUT);
        let begin = Instant::now();
        file.rewrite(wait).await.map_err(unavailable)?;
        self.rewriting.rest(begin.elapsed());
        self.rewriting.wanted.store(false, Ordering::Relaxed);
        Ok(())
    }
}

impl SqliteFile {
    /// Whether the log is larger than it need be. Costs one system call, so it blocks.
    fn has_large_log(&self) -> bool {
        let mut log = self.path().as_os_str().to_owned();
        log.push("-wal");
        size_of(log.as_ref()) > MAX_IDLE_LOG_BYTES
    }

    /// Writes all that is stored anew, into the log, from which it comes over the whole file.
    async fn rewrite(&self, wait: Duration) -> Result<(), SqlxError> {
        // Its folder of temporary files may not be there, or on another disk.
        let options = self.options(wait).pragma("temp_store", "MEMORY");
        let mut connection = options.connect().await?;
        let rewritten = sqlx::raw_sql("VACUUM").execute(&mut connection).await;
        connection.close().await?;
        rewritten.map(drop)
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

/// Size of a file in bytes; 0 where there is none.
fn size_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}
