//! Storage of codes that came to our own callback and wait for the caller.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::ports::StoreError;
use crate::{AuthorizationCode, StateHash, StateToken, Ticket, TicketHash};

/// A code that is kept under its ticket.
#[derive(Clone, Debug)]
pub struct HostedCode {
    /// Hash of the state that it came with.
    pub state: StateHash,
    /// The code; `None` once it was erased, [`HOSTED_CODE_RETENTION`](crate::HOSTED_CODE_RETENTION) after it came, or
    /// with the data of its person.
    pub code: Option<AuthorizationCode>,
    /// Moment at which it came.
    pub present_time: OffsetDateTime,
}

/// Maximum number of codes that are kept for one state. Ours: each is a consent of the person, and whoever else knows
/// the state can send invented ones.
pub const MAX_HOSTED_CODES: u64 = 16;

/// Codes of hosted consents, each under the ticket that the browser takes to the caller.
#[async_trait]
pub trait HostedCodes: Send + Sync {
    /// Keeps a code, sealed, and returns its ticket: always the same for the same code and state. `None` where the code
    /// was kept for another state, and for a new one of a state that has [`MAX_HOSTED_CODES`].
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `Conflict` and `LeaseLost`.
    async fn keep(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
        now: OffsetDateTime,
    ) -> Result<Option<Ticket>, StoreError>;

    /// The ticket of a code that was kept for this state.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `Conflict` and `LeaseLost`.
    async fn ticket(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
    ) -> Result<Option<Ticket>, StoreError>;

    /// The code of this ticket.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `Conflict` and `LeaseLost`.
    async fn find(&self, ticket: &TicketHash) -> Result<Option<HostedCode>, StoreError>;
}
