//! Codes of hosted consents, which no history has: the ports ask for them.

use async_trait::async_trait;
use ig_domain::ports::{HostedCode, HostedCodes, StoreError};
use ig_domain::{AuthorizationCode, StateToken, Ticket, TicketHash};
use time::OffsetDateTime;

use crate::replica::Replica;

#[async_trait]
impl HostedCodes for Replica {
    async fn keep(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
        now: OffsetDateTime,
    ) -> Result<Option<Ticket>, StoreError> {
        self.world.store.keep(code, state, now).await
    }

    async fn ticket(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
    ) -> Result<Option<Ticket>, StoreError> {
        self.world.store.ticket(code, state).await
    }

    async fn find(&self, ticket: &TicketHash) -> Result<Option<HostedCode>, StoreError> {
        HostedCodes::find(&self.world.store, ticket).await
    }
}
