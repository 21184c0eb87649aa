//! Failures of the store.

use std::time::Duration;

use ig_domain::ports::StoreError;
use tonic::Status;

use super::{Problem, Reason, ToStatus, internal};

/// Delay before a retry. Ours.
const RETRY_DELAY: Duration = Duration::from_secs(1);

impl ToStatus for StoreError {
    fn to_status(&self) -> Status {
        match self {
            // Conflicts and lost leases are dealt with inside; one that gets here passes by itself.
            Self::Unavailable(_) | Self::Conflict | Self::LeaseLost => {
                let message = "the service cannot reach its store; make the same call again";
                let problem = Problem::new(Reason::StoreUnavailable, message);
                problem.retry_after(RETRY_DELAY).caused_by(self.clone()).into_status()
            }
            Self::Overloaded(_) => {
                let message = "the service has more to do than it can; make the same call again";
                let problem = Problem::new(Reason::Overloaded, message);
                problem.retry_after(RETRY_DELAY).caused_by(self.clone()).into_status()
            }
            Self::Corrupt(_) | Self::Internal(_) => internal(self.clone()),
        }
    }
}
