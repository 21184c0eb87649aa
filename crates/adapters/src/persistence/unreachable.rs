//! Databases that cannot be reached: the address and the reason.

use ig_domain::ports::{Cause, StoreError};

use super::Database;
use super::database::Engine;
use super::error::overloaded;
use super::postgres::Diagnosis;

/// The cause of an overload for want of a connection.
const ALL_IN_USE: &str = "all connections were in use, or opening one took too long";

/// No statement was run, for want of a connection; [`Database::explained`] adds the address.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoConnection {
    /// None came free, or none could be opened: the pool does not say which.
    #[error("no connection was to be had in time")]
    TimedOut,
    /// It could not be opened, or broke.
    #[error("{0}")]
    Failed(String),
}

/// The database cannot be reached: the address, and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unreachable(String);

/// A statement failed for what its session remembers, such as that it may only read, or how a table was.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct StaleSession(pub(super) String);

impl Database {
    /// Whether the database could not be reached at all, and not only for others' sake.
    #[must_use]
    pub fn is_unreachable(error: &StoreError) -> bool {
        matches!(error, StoreError::Unavailable(cause) if cause.downcast_ref::<Unreachable>().is_some())
    }

    /// Adds to a lack of connections the address and the reason; where all were in use the database is not away. A
    /// session that was at fault leaves, and others that are as old.
    pub(super) async fn explained<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        let Err(StoreError::Unavailable(cause)) = &done else { return done };
        if cause.downcast_ref::<StaleSession>().is_some() {
            self.sessions.failed();
        }
        let Some(lack) = cause.downcast_ref::<NoConnection>() else { return done };
        let (timed_out, lack) = (matches!(lack, NoConnection::TimedOut), lack.to_string());
        let (place, why) = match &self.engine {
            Engine::Postgres(server) if timed_out => match Box::pin(server.diagnose()).await {
                Diagnosis::AllInUse => return Err(overloaded(ALL_IN_USE)),
                Diagnosis::Away(why) => (server.address(), why),
            },
            Engine::Postgres(server) => (server.address(), lack),
            // A file that cannot be opened fails at once.
            Engine::Sqlite { .. } if timed_out => return Err(overloaded(ALL_IN_USE)),
            Engine::Sqlite { file, .. } => {
                // The file may have been not to be written when the connections were opened.
                self.sessions.failed();
                (file.absolute_path(), lack)
            }
        };
        Err(StoreError::Unavailable(Cause::new(Unreachable(format!("{place}: {why}")))))
    }
}
