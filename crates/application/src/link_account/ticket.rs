//! Tickets: the caller presents one for a code that this service keeps.

use ig_domain::ports::GraphFacts;
use ig_domain::{
    CODE_LIFETIME, LinkRefusal, Presentation, PresentedBy, StateRejection, TicketPresentation,
};

use super::{LinkAccount, LinkAccountError};

impl LinkAccount {
    /// The presentation of the code that the ticket stands for.
    ///
    /// # Errors
    ///
    /// [`StateRejection::Unknown`] for a ticket that is unknown or another state's. [`LinkRefusal::CodeRejected`] where
    /// the code has expired before it was tried; one that was tried is answered as its attempt says.
    pub async fn redeem(
        &self,
        presented: TicketPresentation,
    ) -> Result<Presentation, LinkAccountError> {
        let TicketPresentation { ticket, state, owner, session_binding } = presented;
        let kept = self.hosted_codes.find(&ticket.hash()).await?;
        let kept = kept.filter(|kept| kept.state == state.hash());
        let kept = kept.ok_or(StateRejection::Unknown)?;
        let expired = LinkAccountError::Refused(LinkRefusal::CodeRejected(GraphFacts::default()));
        let Some(code) = kept.code else { return Err(expired) };
        let present_time = kept.present_time;
        if present_time + CODE_LIFETIME <= self.clock.now()
            && self.attempts.find(&code.hash()).await?.is_none()
        {
            return Err(expired);
        }
        let by = PresentedBy::Ticket { present_time };
        Ok(Presentation { code, state, owner, session_binding, by })
    }
}
