//! Time, waiting, ids and randomness.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{AccountId, AuditId, ConfirmationCode, LeaseHolder, StateToken};

/// Business clock: the time by which tokens, states and codes are judged.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Clock: Send + Sync {
    /// The present moment in UTC, in whole microseconds. Never waits.
    fn now(&self) -> OffsetDateTime;

    /// Number of times that somebody set the clock: 0 where it only runs, as outside of tests. Never waits.
    fn jumps(&self) -> u64 {
        0
    }

    /// Returns once [`jumps`](Self::jumps) is another number than `seen`: never where the clock only runs. A
    /// caller that reads `jumps`, looks at what is due, and waits here then, misses no jump.
    async fn jumped(&self, seen: u64) {
        let _ = seen;
        std::future::pending::<()>().await;
    }
}

/// Waiting, and measuring of spans: real time, which nobody sets.
#[async_trait]
pub trait Timer: Send + Sync {
    /// The present moment, for comparison with another one. Never goes back, and never waits.
    fn now(&self) -> Instant;

    /// Returns after `span`.
    async fn sleep(&self, span: Duration);
}

/// Ids and randomness.
pub trait Ids: Send + Sync {
    /// A new account id: a `UUIDv7` of the moment `now`.
    fn account_id(&self, now: OffsetDateTime) -> AccountId;

    /// A new id of an audit entry: a `UUIDv7` of the moment `now`.
    fn audit_id(&self, now: OffsetDateTime) -> AuditId;

    /// A new state: 256 random bits as text.
    fn state(&self) -> StateToken;

    /// A new code of a deletion: 128 random bits as text.
    fn confirmation_code(&self) -> ConfirmationCode;

    /// A new lease holder.
    fn lease_holder(&self) -> LeaseHolder;

    /// A random number of 0 to `u32::MAX`.
    fn draw(&self) -> u32;
}
