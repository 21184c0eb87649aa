//! Turns a code into a stored account, once, whoever asks how often and whatever stops in between.

mod error;
mod work;

use std::sync::Arc;

use ig_domain::{AccountView, CodeHash, Owner, Presentation, Scope, SessionBindingHash, StateHash};
use tokio_util::task::TaskTracker;

pub use self::error::LinkAccountError;
pub use self::work::LinkWork;
use crate::single_flight::SingleFlight;

/// A linked account, as the caller is told.
#[derive(Clone, Debug)]
pub struct LinkedAccount {
    /// The account as it is now.
    pub view: AccountView,
    /// Whether this link made it.
    pub created: bool,
    /// What was asked for and not granted.
    pub missing_scopes: Vec<Scope>,
}

/// Finishes links.
pub struct LinkAccount {
    work: Arc<LinkWork>,
    flights: SingleFlight<Call, LinkedAccount, LinkAccountError>,
}

/// What makes two calls the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Call {
    code: CodeHash,
    state: StateHash,
    owner: Owner,
    session_binding: SessionBindingHash,
}

impl LinkAccount {
    /// Runs `work` in tasks that `tracker` waits for.
    #[must_use]
    pub fn new(work: LinkWork, tracker: TaskTracker) -> Self {
        Self { work: Arc::new(work), flights: SingleFlight::new(tracker) }
    }

    /// Finishes the link, or joins whoever is finishing it. Dropping the future ends the waiting, not the
    /// work, and not the life of `place`, which is what the caller occupies for as long as the work runs.
    ///
    /// # Errors
    ///
    /// Any [`LinkAccountError`].
    pub async fn execute(
        &self,
        presented: Presentation,
        place: impl Send + 'static,
    ) -> Result<LinkedAccount, LinkAccountError> {
        let call = Call {
            code: presented.code.hash(),
            state: presented.state.hash(),
            owner: presented.owner.clone(),
            session_binding: presented.session_binding.hash(),
        };
        let work = Arc::clone(&self.work);
        let flight = self.flights.join(call, async move {
            let _until_the_end = place;
            work.run(&presented).await
        });
        flight.await.unwrap_or(Err(LinkAccountError::Panicked))
    }
}
