//! Translates failures of the database into errors for the caller.

use std::fmt::Display;
use std::sync::Arc;

use ig_domain::ports::{Cause, SealError, StoreError};
use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlErr, SqlxError};

use super::unreachable::{NoConnection, StaleSession};

/// Translates a failed statement. Only its `Display` text goes on: `Debug` of these errors holds row values.
pub(super) fn translate(error: &DbErr) -> StoreError {
    let cause = Cause::new(error.to_string());
    if let Some(SqlErr::UniqueConstraintViolation(_)) = error.sql_err() {
        return StoreError::Conflict;
    }
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => {
            StoreError::Unavailable(Cause::new(NoConnection::TimedOut))
        }
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => no_connection(error),
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            translate_sqlx(error, cause)
        }
        DbErr::Type(_) | DbErr::TryIntoErr { .. } => StoreError::Corrupt(cause),
        _ => StoreError::Internal(cause),
    }
}

/// Translates a failed statement of the driver's own.
pub(super) fn failed(error: SqlxError) -> StoreError {
    translate(&DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))
}

fn translate_sqlx(error: &SqlxError, cause: Cause) -> StoreError {
    match error {
        SqlxError::PoolTimedOut => StoreError::Unavailable(Cause::new(NoConnection::TimedOut)),
        SqlxError::Io(_)
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_) => no_connection(error),
        SqlxError::ColumnDecode { .. } | SqlxError::Decode(_) => StoreError::Corrupt(cause),
        SqlxError::Database(error) => {
            if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                if blames_session(error.code(), error.routine()) {
                    return stale_session(error.message());
                }
                return translate_postgres(error.code(), cause);
            }
            match error.code().and_then(|code| code.parse().ok()) {
                Some(code) => translate_sqlite(code, error.message(), cause),
                None => StoreError::Internal(cause),
            }
        }
        _ => StoreError::Internal(cause),
    }
}

/// Translates SQLite's extended result code, whose low byte is the primary one.
///
/// Source: <https://www.sqlite.org/rescode.html>.
fn translate_sqlite(code: u32, message: &str, cause: Cause) -> StoreError {
    const ERROR: u32 = 1;
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const NO_MEMORY: u32 = 7;
    const READ_ONLY: u32 = 8;
    const IO: u32 = 10;
    const CORRUPT: u32 = 11;
    const FULL: u32 = 13;
    const CANNOT_OPEN: u32 = 14;
    const PROTOCOL: u32 = 15;
    const NOT_A_DATABASE: u32 = 26;
    match code & 0xff {
        CANNOT_OPEN | NOT_A_DATABASE | READ_ONLY | IO | FULL => no_connection(cause),
        BUSY | LOCKED | NO_MEMORY | PROTOCOL => StoreError::Unavailable(cause),
        CORRUPT => StoreError::Corrupt(cause),
        // SQLite has one code for every faulty statement; these two mean that migrations are missing.
        ERROR if message.starts_with("no such table") || message.contains("no column named") => {
            StoreError::Unavailable(cause)
        }
        ERROR if message.starts_with("no such column") => StoreError::Unavailable(cause),
        _ => StoreError::Internal(cause),
    }
}

/// Whether a new session may do better, by PostgreSQL's error code and the function that raised it: it may only read,
/// prepared a statement before a table changed or not at all, or is in another schema or role than the server's
/// settings say by now.
fn blames_session(code: &str, routine: Option<&str>) -> bool {
    match code {
        "25006" | "26000" | "42P05" | "42P01" | "42703" | "3F000" | "42501" => true,
        "0A000" => routine == Some("RevalidateCachedQuery"),
        _ => false,
    }
}

/// Translates PostgreSQL's error code, whose first two characters are its class.
///
/// Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn translate_postgres(code: &str, cause: Cause) -> StoreError {
    match code {
        // Tables, columns or the schema are missing, or not ours to use: migrations or grants are.
        "42P01" | "42703" | "3F000" | "42501" => StoreError::Unavailable(cause),
        "XX001" | "XX002" => StoreError::Corrupt(cause),
        // The server is starting, or has no connection left for us.
        "57P03" | "53300" => no_connection(cause),
        _ => match code.get(..2) {
            // Log-in, database.
            Some("28" | "3D") => no_connection(cause),
            // Connection, state of the transaction (read-only), rolled back for others' sake,
            // resources, locks, operator (shutting down, starting, statement cut off), disk.
            Some("08" | "25" | "40" | "53" | "55" | "57" | "58") => StoreError::Unavailable(cause),
            _ => StoreError::Internal(cause),
        },
    }
}

/// Whether the database was locked by somebody else for too long.
pub(super) fn is_busy(error: &SqlxError) -> bool {
    let SqlxError::Database(error) = error else { return false };
    let code = error.code();
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// A session is at fault.
pub(super) fn stale_session(reason: impl Display) -> StoreError {
    StoreError::Unavailable(Cause::new(StaleSession(reason.to_string())))
}

/// A connection could not be opened, or broke.
pub(super) fn no_connection(reason: impl Display) -> StoreError {
    StoreError::Unavailable(Cause::new(NoConnection::Failed(reason.to_string())))
}

/// The store cannot serve, for a reason of ours.
pub(super) fn unavailable(reason: impl Display) -> StoreError {
    StoreError::Unavailable(Cause::new(reason.to_string()))
}

/// There was more to do than could be begun in time; nothing was.
pub(super) fn overloaded(reason: impl Display) -> StoreError {
    StoreError::Overloaded(Cause::new(reason.to_string()))
}

/// `column` holds a value that we never wrote. `reason` must not repeat it.
pub(super) fn corrupt(column: &str, reason: impl Display) -> StoreError {
    StoreError::Corrupt(Cause::new(format!("{column}: {reason}")))
}

/// Translates a failure to seal or to open a token.
pub(super) fn translate_seal(error: SealError) -> StoreError {
    match error {
        SealError::NoKeys => StoreError::Unavailable(Cause::new(error)),
        SealError::UnknownKey(_) | SealError::Rejected => StoreError::Corrupt(Cause::new(error)),
        SealError::NoRandomness(_) => StoreError::Internal(Cause::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::shutting_down("57P01", "the store is unavailable")]
    #[case::starting("57P03", "the store is unavailable")]
    #[case::cut_off("57014", "the store is unavailable")]
    #[case::too_many_connections("53300", "the store is unavailable")]
    #[case::deadlock("40P01", "the store is unavailable")]
    #[case::not_serializable("40001", "the store is unavailable")]
    #[case::read_only("25006", "the store is unavailable")]
    #[case::idle_in_transaction("25P03", "the store is unavailable")]
    #[case::lock_not_had("55P03", "the store is unavailable")]
    #[case::password("28P01", "the store is unavailable")]
    #[case::no_database("3D000", "the store is unavailable")]
    #[case::no_table("42P01", "the store is unavailable")]
    #[case::no_column("42703", "the store is unavailable")]
    #[case::damaged("XX001", "a stored row cannot be read")]
    #[case::our_fault("42601", "the store refused a statement")]
    #[case::null("23502", "the store refused a statement")]
    #[case::no_code("", "the store refused a statement")]
    fn codes_of_postgres_become_what_a_caller_can_do(#[case] code: &str, #[case] expected: &str) {
        assert_eq!(translate_postgres(code, Cause::new(code.to_owned())).to_string(), expected);
    }

    #[rstest]
    #[case::read_only("25006", None, true)]
    #[case::changed_table("0A000", Some("RevalidateCachedQuery"), true)]
    #[case::never_supported("0A000", Some("transformLockingClause"), false)]
    #[case::lost_statement("26000", None, true)]
    #[case::another_schema("42P01", None, true)]
    #[case::lock_not_had("55P03", None, false)]
    #[case::our_fault("42601", None, false)]
    fn what_a_new_session_may_do_better_is_told(
        #[case] code: &str,
        #[case] routine: Option<&str>,
        #[case] expected: bool,
    ) {
        assert_eq!(blames_session(code, routine), expected);
    }

    #[rstest]
    #[case::busy(5, "database is locked", "the store is unavailable")]
    #[case::busy_snapshot(517, "database is locked", "the store is unavailable")]
    #[case::moved(1032, "attempt to write a readonly database", "the store is unavailable")]
    #[case::full(13, "database or disk is full", "the store is unavailable")]
    #[case::gone(14, "unable to open database file", "the store is unavailable")]
    #[case::no_table(1, "no such table: link_attempt", "the store is unavailable")]
    #[case::no_column(1, "no such column: owner", "the store is unavailable")]
    #[case::no_column_to_fill(1, "table a has no column named b", "the store is unavailable")]
    #[case::malformed(11, "database disk image is malformed", "a stored row cannot be read")]
    #[case::our_fault(1, "near \"SELEC\": syntax error", "the store refused a statement")]
    #[case::null(1299, "NOT NULL constraint failed: a.b", "the store refused a statement")]
    fn codes_of_sqlite_become_what_a_caller_can_do(
        #[case] code: u32,
        #[case] message: &str,
        #[case] expected: &str,
    ) {
        let error = translate_sqlite(code, message, Cause::new(message.to_owned()));
        assert_eq!(error.to_string(), expected);
    }
}
