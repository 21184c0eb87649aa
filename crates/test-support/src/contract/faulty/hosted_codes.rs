//! Codes of hosted consents, with faults.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use ig_domain::ports::{HostedCode, HostedCodes, StoreError};
use ig_domain::{AuthorizationCode, StateToken, Ticket, TicketHash};
use time::OffsetDateTime;

use super::{Fault, FaultyPorts};
use crate::builders::{START, parsed};

/// Number of tickets that were made by [`Fault::NewTickets`].
static MADE: AtomicU32 = AtomicU32::new(0);

impl FaultyPorts {
    /// The ticket that the fault gives instead.
    fn ill(&self, ticket: Option<Ticket>) -> Option<Ticket> {
        match self.fault {
            Fault::NewTickets => {
                let made = MADE.fetch_add(1, Ordering::Relaxed);
                ticket.map(|_| parsed(&format!("{made:043}")))
            }
            Fault::OpenTickets => ticket.or_else(|| Some(parsed(&"a".repeat(Ticket::LENGTH)))),
            _ => ticket,
        }
    }
}

#[async_trait]
impl HostedCodes for FaultyPorts {
    async fn keep(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
        now: OffsetDateTime,
    ) -> Result<Option<Ticket>, StoreError> {
        Ok(self.ill(self.ports.hosted_codes.keep(code, state, now).await?))
    }

    async fn ticket(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
    ) -> Result<Option<Ticket>, StoreError> {
        Ok(self.ill(self.ports.hosted_codes.ticket(code, state).await?))
    }

    async fn find(&self, ticket: &TicketHash) -> Result<Option<HostedCode>, StoreError> {
        let found = self.ports.hosted_codes.find(ticket).await?;
        if found.is_none() && self.has(Fault::OpenTickets) {
            let state = parsed::<StateToken>("any").hash();
            return Ok(Some(HostedCode { state, code: None, present_time: START }));
        }
        Ok(found)
    }
}
