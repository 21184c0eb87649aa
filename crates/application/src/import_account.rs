//! Adopts a long-lived token that already exists: its account is stored, and kept alive from then on.

mod work;

use ig_domain::ports::{GraphFacts, InstagramError, StoreError};
use ig_domain::{
    AccountView, ImportHash, ImportedLife, LongLivedToken, Owner, ReauthorizationReason,
};
use std::sync::Arc;
use tokio_util::task::TaskTracker;

pub use self::work::ImportWork;
use crate::Ports;
use crate::single_flight::SingleFlight;

/// Arguments of [`ImportAccount::execute`].
#[derive(Clone, Debug)]
pub struct ImportAccountCommand {
    /// The token.
    pub token: LongLivedToken,
    /// Owner of the account to be.
    pub owner: Owner,
    /// What is known of the token's life.
    pub life: ImportedLife,
}

/// Outcome of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The account is new.
    Created,
    /// The token took the place of the account's former one.
    Replaced,
    /// The account has a living token that goes before the imported one: it stays as it was.
    Unchanged,
}

/// The account of an import.
#[derive(Clone, Debug)]
pub struct ImportedAccount {
    /// The account as it is now.
    pub view: AccountView,
    /// The outcome.
    pub outcome: ImportOutcome,
}

/// Reason for which a token was not imported.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ImportAccountError {
    /// Instagram refused the token for this reason, twice.
    #[error("Instagram refuses the token")]
    TokenRejected(ReauthorizationReason, GraphFacts),
    /// The person removed the app, or had the data deleted, when the token was issued or later, as far as its issue is
    /// known.
    #[error("the person removed the app since the token was issued")]
    UserRemoved,
    /// Somebody did so, and who it was cannot be told: the key of persons' hashes does not open.
    #[error("it cannot be told whether the person removed the app since the token was issued")]
    RemovalUnreadable,
    /// The account is personal.
    #[error("the account is a personal one; only professional accounts can be linked")]
    PersonalAccount,
    /// The account lives under another owner.
    #[error("the account is linked under another owner")]
    OwnedByAnother,
    /// Instagram could not help now; the same call may be made again.
    #[error(transparent)]
    Instagram(#[from] InstagramError),
    /// The store failed; the same call may be made again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work panicked.
    #[error("the work of importing panicked")]
    Panicked,
}

/// Imports tokens.
pub struct ImportAccount {
    work: Arc<ImportWork>,
    flights: SingleFlight<Call, ImportedAccount, ImportAccountError>,
}

/// Key of a call: calls with equal keys share one run.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Call {
    token: ImportHash,
    owner: Owner,
    life: ImportedLife,
}

impl ImportAccount {
    /// Imports over `ports`, in tasks that `tracker` waits for.
    #[must_use]
    pub fn new(ports: &Ports, tracker: TaskTracker) -> Self {
        Self { work: Arc::new(ImportWork::new(ports)), flights: SingleFlight::new(tracker) }
    }

    /// Imports the token, or joins the call that is importing it. Dropping the future ends the waiting, not the work:
    /// work that this call started keeps `place`, the caller's slot, until its end.
    ///
    /// # Errors
    ///
    /// Any [`ImportAccountError`].
    pub async fn execute(
        &self,
        command: ImportAccountCommand,
        place: impl Send + 'static,
    ) -> Result<ImportedAccount, ImportAccountError> {
        let ImportAccountCommand { token, owner, life } = &command;
        let call = Call { token: token.import_hash(), owner: owner.clone(), life: *life };
        let work = Arc::clone(&self.work);
        let flight = self.flights.join(call, async move {
            let _until_the_end = place;
            work.run(&command).await
        });
        flight.await.unwrap_or(Err(ImportAccountError::Panicked))
    }
}
