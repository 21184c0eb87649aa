//! Rows that cannot be read, among others that can: they are left out, named once in the log, and counted.

use std::collections::HashSet;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};

use ig_domain::ports::StoreError;
use ig_metrics::{Counts, Label as _, Registry};
use sea_orm::sea_query::SelectStatement;
use sea_orm::{FromQueryResult, QueryResult};
use uuid::Uuid;

use super::Database;
use super::error::{corrupt, translate};
use super::held_connection::HeldConnection;

/// Maximum number of rows that are remembered as named.
const MAX_NAMED: usize = 1000;

/// Maximum number of rows that are read beyond a page in place of those that cannot be read. Ours.
pub(super) const MAX_UNREADABLE_ROWS: u64 = 1000;

/// The table of a row that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Table {
    Account,
    Token,
    Attempt,
    HostedCode,
    Audit,
    Event,
}

ig_metrics::label!(Table, "table", {
    Account => "instagram_account",
    Token => "account_token",
    Attempt => "link_attempt",
    HostedCode => "hosted_code",
    Audit => "token_audit",
    Event => "account_event",
});

/// Value of a row, or [`UnreadableRow`].
pub(super) type Row<T> = Result<T, UnreadableRow>;

/// A row that cannot be read.
#[derive(Debug)]
pub(super) struct UnreadableRow {
    pub(super) table: Table,
    /// Tells the row from others of its table.
    pub(super) id: String,
    pub(super) error: StoreError,
}

/// Counts rows that were left out, and remembers which were named. Clones share both.
#[derive(Clone)]
pub(super) struct UnreadableRows {
    counts: Counts<Table>,
    named: Arc<Mutex<HashSet<(Table, String)>>>,
}

impl Table {
    fn id_of(self, row: &QueryResult) -> String {
        let id = match self {
            Self::Account | Self::Audit => row.try_get("", "id").map(|id: Uuid| id.to_string()),
            Self::Token => row.try_get("", "account_id").map(|id: Uuid| id.to_string()),
            Self::Attempt | Self::HostedCode => {
                row.try_get("", "code_hash").map(|hash: Vec<u8>| beginning(&hash))
            }
            Self::Event => row.try_get("", "number").map(|number: i64| number.to_string()),
        };
        id.unwrap_or_else(|_| "unknown".to_owned())
    }

    /// What was read of a row. An error where that says nothing of the row.
    pub(super) fn readable<T>(
        self,
        row: &QueryResult,
        read: Result<T, StoreError>,
    ) -> Result<Row<T>, StoreError> {
        match read {
            Ok(read) => Ok(Ok(read)),
            Err(error @ StoreError::Corrupt(_)) => {
                Ok(Err(UnreadableRow { table: self, id: self.id_of(row), error }))
            }
            Err(error) => Err(error),
        }
    }
}

impl UnreadableRow {
    /// Names it in the log.
    pub(super) fn log(&self) {
        let Self { table, id, error } = self;
        let (table, error) = (table.value(), error.source().map(tracing::field::display));
        tracing::warn!(table, row = id, error, "a row cannot be read and is left out");
    }
}

impl UnreadableRows {
    /// Registers all at zero.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let help = "Rows that cannot be read and were left out of an answer";
        let counts = Counts::register(registry, "store_unreadable_rows", help);
        Self { counts, named: Arc::default() }
    }

    /// Those of one answer that can be read; each of the others is left out and counted once.
    pub(super) fn leave_out<T>(&self, rows: impl IntoIterator<Item = Row<T>>) -> Vec<T> {
        let mut counted = HashSet::new();
        let mut readable = Vec::new();
        for row in rows {
            match row {
                Ok(row) => readable.push(row),
                Err(row) if counted.insert((row.table, row.id.clone())) => self.count(row),
                Err(_) => {}
            }
        }
        readable
    }

    fn count(&self, row: UnreadableRow) {
        self.counts.count(row.table);
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < MAX_NAMED && !named.contains(&(row.table, row.id.clone())) {
            row.log();
            named.insert((row.table, row.id));
        }
    }
}

impl Database {
    /// The rows that one statement reads, each as `to_domain` understands its columns.
    ///
    /// # Errors
    ///
    /// When it fails, or no row could be read so.
    pub(super) async fn read_rows<M: FromQueryResult, T>(
        &self,
        table: Table,
        query: &SelectStatement,
        to_domain: impl Fn(M) -> Result<T, StoreError>,
    ) -> Result<Vec<Row<T>>, StoreError> {
        self.hold_connection().await?.read_rows(table, query, to_domain).await
    }
}

impl HeldConnection {
    /// As [`Database::read_rows`].
    pub(super) async fn read_rows<M: FromQueryResult, T>(
        &mut self,
        table: Table,
        query: &SelectStatement,
        to_domain: impl Fn(M) -> Result<T, StoreError>,
    ) -> Result<Vec<Row<T>>, StoreError> {
        let rows = self.read(query).await?;
        let rows = rows.iter().map(|row| {
            let columns = M::from_query_result(row, "").map_err(|error| translate(&error));
            table.readable(row, columns.and_then(&to_domain))
        });
        rows.collect()
    }
}

/// The first `limit` rows that can be read, and all others before the last of them. `read` reads the first rows of a
/// number, and is asked once more at most.
///
/// # Errors
///
/// [`StoreError::Corrupt`] when more than [`MAX_UNREADABLE_ROWS`] are in the way.
pub(super) async fn readable_page<T, F>(
    table: Table,
    limit: u64,
    read: impl Fn(u64) -> F,
) -> Result<Vec<Row<T>>, StoreError>
where
    F: Future<Output = Result<Vec<Row<T>>, StoreError>>,
{
    for number in [limit, limit.saturating_add(MAX_UNREADABLE_ROWS)] {
        let mut rows = read(number).await?;
        let is_last = (rows.len() as u64) < number;
        let mut missing = limit;
        let end = rows.iter().take_while(|row| {
            let goes_on = missing > 0;
            missing = missing.saturating_sub(u64::from(row.is_ok()));
            goes_on
        });
        let end = end.count();
        if is_last || missing == 0 {
            rows.truncate(end);
            return Ok(rows);
        }
    }
    let reason = format_args!("more than {MAX_UNREADABLE_ROWS} rows of one page cannot be read");
    Err(corrupt(table.value(), reason))
}

/// The first bytes, in hexadecimal digits: enough to find a row by.
fn beginning(bytes: &[u8]) -> String {
    bytes.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests;
