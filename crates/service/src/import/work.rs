//! The work of one line.

use std::sync::Arc;

use ig_application::{ImportAccountCommand, ImportAccountError, ImportWork, ImportedAccount};
use ig_domain::ports::{InstagramErrorKind, StoreError, ThrottleScope};
use std::time::Duration;

use super::refusal::Refusal;

/// A line whose token is to be imported.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) line: u64,
    pub(super) command: Arc<ImportAccountCommand>,
}

/// What a try of a line came to.
pub(super) enum Ended {
    /// The token is imported.
    Imported(Box<ImportedAccount>),
    /// It is not, for this reason.
    Refused(Refusal),
    /// Instagram throttles the app, and asks to wait: the line is tried again then.
    Throttled { wait: Duration },
    /// The database is away: no line can be stored.
    StoreAway(StoreError),
}

/// Tries a line.
pub(super) async fn import(work: &ImportWork, job: &Job) -> Ended {
    let error = match work.run(&job.command).await {
        Ok(imported) => return Ended::Imported(Box::new(imported)),
        Err(error) => error,
    };
    match error {
        ImportAccountError::Store(
            error @ (StoreError::Unavailable(_) | StoreError::Overloaded(_)),
        ) => Ended::StoreAway(error),
        // The throttling of one account keeps no other line from being tried.
        ImportAccountError::Instagram(ref refusal)
            if refusal.throttle_scope() != Some(ThrottleScope::Account) =>
        {
            match refusal.kind {
                InstagramErrorKind::RateLimited { retry_after } => {
                    Ended::Throttled { wait: retry_after }
                }
                _ => Ended::Refused(Refusal::of(&error, &job.command)),
            }
        }
        error => Ended::Refused(Refusal::of(&error, &job.command)),
    }
}
