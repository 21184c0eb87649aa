//! Deauthorises a person who removed the app: the tokens of the person's accounts are destroyed.

use std::sync::Arc;

use ig_domain::ports::{Clock, StoreError, UserRemovals};
use ig_domain::{AccountId, RemovalOutcome, SignedRequest};
use tracing::{debug, info};

/// Deauthorises persons, as Meta asks.
pub struct Deauthorize {
    /// Destroys the tokens.
    pub removals: Arc<dyn UserRemovals>,
    /// Business time.
    pub clock: Arc<dyn Clock>,
}

/// Reason for which a removal was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RemovalError {
    /// The request says that it comes from the future.
    #[error("the request was issued further ahead than clocks differ")]
    TooFarAhead,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Deauthorize {
    /// Does what the request asks, if the person has not consented since. Repeating it does no harm.
    ///
    /// # Errors
    ///
    /// Any [`RemovalError`].
    pub async fn execute(&self, request: &SignedRequest) -> Result<RemovalOutcome, RemovalError> {
        let now = self.clock.now();
        if request.is_too_far_ahead(now) {
            return Err(RemovalError::TooFarAhead);
        }
        let outcome = self.removals.deauthorize(request, now).await?;
        match &outcome {
            RemovalOutcome::Done { accounts } => {
                info!(account.ids = listed(accounts), "a person removed the app");
            }
            RemovalOutcome::ConsentedSince { accounts } => info!(
                account.ids = listed(accounts),
                "a person removed the app, but consented again since: nothing changed"
            ),
            RemovalOutcome::NothingStored => {
                debug!("a person of whom nothing is stored removed the app");
            }
        }
        Ok(outcome)
    }
}

pub(crate) fn listed(accounts: &[AccountId]) -> String {
    accounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
