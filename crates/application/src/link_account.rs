//! Turns a code into a stored account once, through repeated calls and crashes.

mod error;
mod ticket;
mod work;

use std::sync::Arc;

use ig_domain::ports::{Clock, HostedCodes, LinkAttempts};
use ig_domain::{
    AccountView, CodeHash, LinkEndKind, Owner, Presentation, Scope, SessionBindingHash, StateHash,
    TicketPresentation,
};
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

/// Data that is presented to finish a link.
#[derive(Clone, Debug)]
pub enum Presented {
    /// With the code itself.
    Code(Presentation),
    /// With the ticket of a code that this service keeps.
    Ticket(TicketPresentation),
}

impl Presented {
    /// Owner of the account to be linked.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        match self {
            Self::Code(presented) => &presented.owner,
            Self::Ticket(presented) => &presented.owner,
        }
    }
}

impl From<Presentation> for Presented {
    fn from(presented: Presentation) -> Self {
        Self::Code(presented)
    }
}

/// Finishes links.
pub struct LinkAccount {
    attempts: Arc<dyn LinkAttempts>,
    hosted_codes: Arc<dyn HostedCodes>,
    clock: Arc<dyn Clock>,
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
    end: LinkEndKind,
}

impl LinkAccount {
    /// Links over `ports`, in tasks that `tracker` waits for.
    #[must_use]
    pub fn new(ports: &Ports, tracker: TaskTracker) -> Self {
        Self {
            attempts: ports.store.link_attempts.clone(),
            hosted_codes: ports.store.hosted_codes.clone(),
            clock: ports.clock.clone(),
            work: Arc::new(LinkWork::new(ports)),
            flights: SingleFlight::new(tracker),
        }
    }

    /// Finishes the link, or joins the call that is finishing it. Dropping the future ends the waiting, not the work:
    /// work that this call started keeps `place`, the caller's slot, until its end.
    ///
    /// # Errors
    ///
    /// Any [`LinkAccountError`].
    pub async fn execute(
        &self,
        presented: impl Into<Presented>,
        place: impl Send + 'static,
    ) -> Result<LinkedAccount, LinkAccountError> {
        let presented = match presented.into() {
            Presented::Code(presented) => presented,
            Presented::Ticket(presented) => self.redeem(presented).await?,
        };
        let call = Call {
            code: presented.code.hash(),
            state: presented.state.hash(),
            owner: presented.owner.clone(),
            session_binding: presented.session_binding.hash(),
            end: presented.by.end(),
        };
        let work = Arc::clone(&self.work);
        let flight = self.flights.join(call, async move {
            let _until_the_end = place;
            work.run(&presented).await
        });
        flight.await.unwrap_or(Err(LinkAccountError::Panicked))
    }
}
