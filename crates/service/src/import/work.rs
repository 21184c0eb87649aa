//! The work of one line.

use std::sync::Arc;

use anyhow::anyhow;
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
    /// No line can be stored for this reason, which somebody must end.
    Stopped(anyhow::Error),
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
        ) => {
            Ended::Stopped(anyhow::Error::from(error).context(
                "the database is away: run the import again once it is back, and it goes on",
            ))
        }
        ImportAccountError::RemovalUnreadable => {
            let Refusal { message, .. } = Refusal::of(&error, &job.command);
            Ended::Stopped(anyhow!("{message}; then run the import again, and it goes on"))
        }
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
