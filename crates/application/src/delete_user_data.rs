//! Deletes a person's data as Meta asks, tells how far that is, and erases what deleted accounts have left.

use std::sync::Arc;

use ig_domain::ports::{Cause, Clock, Ids, StoreError, UserDeletions};
use ig_domain::{ConfirmationCode, Deletion, RemovalOutcome, SignedRequest};
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, debug, info};

use crate::RemovalError;
use crate::deauthorize::listed;

/// Maximum number of rows of a kind that one round erases.
const MAX_ROUND_ROWS: u64 = 1000;

/// Deletes persons' data.
#[derive(Clone)]
pub struct DeleteUserData {
    /// Deletes accounts.
    pub deletions: Arc<dyn UserDeletions>,
    /// Business time.
    pub clock: Arc<dyn Clock>,
    /// Source of codes.
    pub ids: Arc<dyn Ids>,
    /// Waits for deletions whose callers have gone.
    pub tracker: TaskTracker,
}

impl DeleteUserData {
    /// Forgets the person's accounts, if the person has not consented since. Returns the code by which the deletion is
    /// found: for the same request always the same. Once begun it goes on without its caller.
    ///
    /// # Errors
    ///
    /// Any [`RemovalError`].
    pub async fn execute(&self, request: &SignedRequest) -> Result<ConfirmationCode, RemovalError> {
        let (delete, request) = (self.clone(), request.clone());
        // The line is written though Meta may have gone: after a restore it says what is to be deleted again.
        let deleting = async move { delete.run(&request).await };
        let deleting = self.tracker.spawn(deleting.in_current_span());
        deleting.await.unwrap_or_else(|error| Err(StoreError::Internal(Cause::new(error)).into()))
    }

    /// Does what [`execute`](Self::execute) says, in the task of its caller.
    ///
    /// # Errors
    ///
    /// Any [`RemovalError`].
    pub async fn run(&self, request: &SignedRequest) -> Result<ConfirmationCode, RemovalError> {
        let now = self.clock.now();
        if request.is_too_far_ahead(now) {
            return Err(RemovalError::TooFarAhead);
        }
        let code = self.ids.confirmation_code();
        let (code, outcome) = self.deletions.delete(request, &code, now).await?;
        log(&code, &outcome);
        Ok(code)
    }
}

fn log(code: &ConfirmationCode, outcome: &RemovalOutcome) {
    match outcome {
        RemovalOutcome::Done { accounts } => {
            info!(%code, account.ids = listed(accounts), "data of a person was deleted");
        }
        RemovalOutcome::ConsentedSince { accounts } => info!(
            %code,
            account.ids = listed(accounts),
            "a person wanted the data to be deleted, but consented again since: nothing changed"
        ),
        RemovalOutcome::NothingStored => {
            debug!(%code, "a person of whom nothing is stored wanted the data to be deleted");
        }
    }
}

/// Finds deletions.
pub struct FindDeletion {
    /// Reads deletions.
    pub deletions: Arc<dyn UserDeletions>,
}

impl FindDeletion {
    /// The deletion of this code; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `Conflict` and `LeaseLost`.
    pub async fn execute(&self, code: &ConfirmationCode) -> Result<Option<Deletion>, StoreError> {
        self.deletions.find(code).await
    }
}

/// Erases what deleted accounts have left.
pub struct EraseRemoved {
    /// Erases rows.
    pub deletions: Arc<dyn UserDeletions>,
    /// Business time.
    pub clock: Arc<dyn Clock>,
}

impl EraseRemoved {
    /// Erases some of it. Returns the number of rows: 0 where there is nothing to erase now.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `Conflict` and `LeaseLost`.
    pub async fn execute_round(&self) -> Result<u64, StoreError> {
        let now: OffsetDateTime = self.clock.now();
        self.deletions.erase(now, MAX_ROUND_ROWS).await
    }
}
