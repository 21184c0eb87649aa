//! Refreshes an account: renews its token, or finds out that it is dead.

mod work;

use std::sync::Arc;

use ig_domain::ports::{AccountKey, AccountReader, GraphFacts, InstagramError, StoreError};
use ig_domain::{AccountId, AccountView, OwnerScope};
use tokio_util::task::TaskTracker;

pub use self::work::RefreshWork;
use crate::Ports;
use crate::single_flight::SingleFlight;

/// Outcome of a refresh for a token that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOutcome {
    /// Instagram renewed it.
    Renewed,
    /// It is too young to be renewed.
    TooYoung,
}

/// A refreshed account.
#[derive(Clone, Debug)]
pub struct RefreshedAccount {
    /// The account as it is now.
    pub view: AccountView,
    /// Outcome for its token.
    pub token_outcome: TokenOutcome,
}

/// A token that is dead.
#[derive(Clone, Debug)]
pub struct DeadToken {
    /// The account; its status holds the reason.
    pub view: AccountView,
    /// Instagram's own numbers for its refusal. Empty where the token was known to be dead before this call.
    pub facts: GraphFacts,
}

/// Reason for which an account was not refreshed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RefreshAccountError {
    /// The account does not exist, or its owner is outside the scope.
    #[error("there is no such account")]
    NotFound,
    /// Its token is dead.
    #[error("the token is dead: the person must consent again")]
    ReauthorizationRequired(Box<DeadToken>),
    /// Instagram could not help now; the account is as it was.
    #[error(transparent)]
    Instagram(#[from] InstagramError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work panicked.
    #[error("the work of refreshing panicked")]
    Panicked,
}

/// Refreshes accounts.
pub struct RefreshAccount {
    accounts: Arc<dyn AccountReader>,
    work: Arc<RefreshWork>,
    flights: SingleFlight<AccountId, RefreshedAccount, RefreshAccountError>,
}

impl RefreshAccount {
    /// Refreshes over `ports`, in tasks that `tracker` waits for.
    #[must_use]
    pub fn new(ports: &Ports, tracker: TaskTracker) -> Self {
        Self {
            accounts: ports.store.accounts.clone(),
            work: Arc::new(RefreshWork::new(ports)),
            flights: SingleFlight::new(tracker),
        }
    }

    /// Refreshes the account, if its owner is one of `owners`, or joins the call that does. Dropping the future ends
    /// the waiting, not the work: work that this call started keeps `place`, the caller's slot, until its end.
    ///
    /// # Errors
    ///
    /// Any [`RefreshAccountError`].
    pub async fn execute(
        &self,
        id: AccountId,
        owners: &OwnerScope,
        place: impl Send + 'static,
    ) -> Result<RefreshedAccount, RefreshAccountError> {
        let found = self.accounts.find(&AccountKey::Id(id)).await?;
        let found = found.filter(|account| owners.contains(&account.owner));
        found.ok_or(RefreshAccountError::NotFound)?;
        let work = Arc::clone(&self.work);
        let flight = self.flights.join(id, async move {
            let _until_the_end = place;
            work.run(id).await
        });
        flight.await.unwrap_or(Err(RefreshAccountError::Panicked))
    }
}
