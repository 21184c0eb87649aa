//! Ids in a row.

use std::sync::atomic::{AtomicU64, Ordering};

use ig_domain::ports::Ids;
use ig_domain::{AccountId, AuditId, ConfirmationCode, LeaseHolder, StateToken};
use time::OffsetDateTime;
use uuid::Uuid;

/// Counts: every id, state and holder is the next number.
#[derive(Debug, Default)]
pub struct SequentialIds(AtomicU64);

impl SequentialIds {
    /// Ids that begin after `number`, for a source beside another one.
    #[must_use]
    pub fn after(number: u64) -> Self {
        Self(AtomicU64::new(number))
    }

    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Ids for SequentialIds {
    fn account_id(&self, _now: OffsetDateTime) -> AccountId {
        AccountId::from_uuid(Uuid::from_u64_pair(0x0199_0000_0000_7000, self.next()))
    }

    fn audit_id(&self, _now: OffsetDateTime) -> AuditId {
        AuditId::from_uuid(Uuid::from_u64_pair(0x0199_0000_0000_7000, self.next()))
    }

    #[expect(clippy::expect_used, reason = "digits are a valid state")]
    fn state(&self) -> StateToken {
        format!("state-{}", self.next()).parse().expect("a valid state")
    }

    #[expect(clippy::expect_used, reason = "digits are a valid code")]
    fn confirmation_code(&self) -> ConfirmationCode {
        format!("{:032x}", self.next()).parse().expect("a valid code")
    }

    fn lease_holder(&self) -> LeaseHolder {
        LeaseHolder::from_uuid(Uuid::from_u64_pair(0, self.next()))
    }

    /// Spread over the whole range, and the same in each run.
    fn draw(&self) -> u32 {
        u32::try_from(self.next().wrapping_mul(2_654_435_761) & 0xffff_ffff).unwrap_or_default()
    }
}
