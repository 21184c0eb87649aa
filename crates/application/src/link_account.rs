//! Turns a code into a stored account once, through repeated calls and crashes.

mod error;
mod work;

use std::sync::Arc;

use ig_domain::{AccountView, CodeHash, Owner, Presentation, Scope, SessionBindingHash, StateHash};
use tokio_util::task::TaskTracker;

pub use self::error::LinkAccountError;
pub use self::work::LinkWork;
use crate::Ports;
use crate::single_flight::SingleFlight;

/// A linked account, as answered to the caller.
#[derive(Clone, Debug)]
pub struct LinkedAccount {
    /// The account as it is now.
    pub view: AccountView,
    /// Whether this link created it.
    pub created: bool,
    /// Scopes that were requested and not granted.
    pub missing_scopes: Vec<Scope>,
}

/// Finishes links.
pub struct LinkAccount {
    work: Arc<LinkWork>,
    flights: SingleFlight<Call, LinkedAccount, LinkAccountError>,
}

/// Key of a call: calls with equal keys share one run.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Call {
    code: CodeHash,
    state: StateHash,
    owner: Owner,
    session_binding: SessionBindingHash,
}

impl LinkAccount {
    /// Links over `ports`, in tasks that `tracker` waits for.
    #[must_use]
    pub fn new(ports: &Ports, tracker: TaskTracker) -> Self {
        Self { work: Arc::new(LinkWork::new(ports)), flights: SingleFlight::new(tracker) }
    }

    /// Finishes the link, or joins the call that is finishing it. Dropping the future ends the waiting, not the work:
    /// work that this call started keeps `place`, the caller's slot, until its end.
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
