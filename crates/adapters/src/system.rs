//! Time, waiting, ids and randomness of the machine: the only place that reads its clock.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ig_domain::ports::{Clock, Ids, Timer};
use ig_domain::{AccountId, AuditId, BearerToken, ConfirmationCode, LeaseHolder, StateToken};
use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};
use zeroize::Zeroizing;

mod sandbox_clock;

pub use sandbox_clock::{SandboxClock, SandboxClockError};

/// Prefix of every bearer token of a caller.
const BEARER_PREFIX: &str = "igacc_";

/// The machine's clock, in whole microseconds: what every store can keep.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock behind the port")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc().truncate_to_microsecond()
    }
}

/// The runtime's timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer;

#[async_trait]
impl Timer for TokioTimer {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// Ids from the machine's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl RandomIds {
    /// A new id for a call that came without one: 32 hexadecimal digits.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "these are the ids of the machine")]
    pub fn request_id(self) -> String {
        Uuid::new_v4().simple().to_string()
    }

    /// A new bearer token of a caller: 256 random bits behind a prefix by which a leaked one is recognised.
    ///
    /// # Panics
    ///
    /// When the system gives no randomness.
    #[must_use]
    #[expect(clippy::expect_used, reason = "base64 is visible ASCII")]
    pub fn bearer_token(self) -> BearerToken {
        let token = Zeroizing::new(format!("{BEARER_PREFIX}{}", *random_text()));
        token.parse().expect("base64 is a bearer token")
    }
}

impl Ids for RandomIds {
    fn account_id(&self, now: OffsetDateTime) -> AccountId {
        AccountId::from_uuid(uuid_of(now))
    }

    fn audit_id(&self, now: OffsetDateTime) -> AuditId {
        AuditId::from_uuid(uuid_of(now))
    }

    #[expect(clippy::expect_used, reason = "base64 is visible ASCII")]
    fn state(&self) -> StateToken {
        random_text().parse().expect("base64 of 32 bytes is a state")
    }

    #[expect(clippy::expect_used, reason = "without randomness nothing here may go on")]
    fn confirmation_code(&self) -> ConfirmationCode {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system has randomness");
        let digits = format!("{:032x}", u128::from_be_bytes(bytes));
        digits.parse().expect("hexadecimal digits are a confirmation code")
    }

    #[expect(clippy::disallowed_methods, reason = "these are the ids behind the port")]
    fn lease_holder(&self) -> LeaseHolder {
        LeaseHolder::from_uuid(Uuid::new_v4())
    }

    #[expect(clippy::expect_used, reason = "without randomness nothing here may go on")]
    fn draw(&self) -> u32 {
        getrandom::u32().expect("the system has randomness")
    }
}

/// 256 random bits as 43 characters.
#[expect(clippy::expect_used, reason = "without randomness nothing here may go on")]
fn random_text() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).expect("the system has randomness");
    Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// A `UUIDv7` of the moment `now`, or of 1970 where that is earlier.
fn uuid_of(now: OffsetDateTime) -> Uuid {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.nanosecond()))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_clock_keeps_no_more_than_a_store_does() {
        let now = SystemClock.now();
        assert_eq!(now.nanosecond() % 1000, 0);
        assert_eq!(now, now.to_offset(time::UtcOffset::UTC));
    }

    #[test]
    fn an_account_id_is_a_uuid_of_the_given_moment() {
        let moment = datetime!(2026-11-24 08:00:00.123 UTC);
        let id = RandomIds.account_id(moment);
        let (seconds, nanoseconds) = id.as_uuid().get_timestamp().unwrap().to_unix();
        assert_eq!(id.as_uuid().get_version_num(), 7);
        assert_eq!(i64::try_from(seconds).unwrap(), moment.unix_timestamp());
        assert_eq!(nanoseconds, 123_000_000);
        assert_ne!(RandomIds.account_id(moment), id);
        assert_eq!(RandomIds.audit_id(moment).as_uuid().get_version_num(), 7);
        assert_eq!(
            RandomIds.account_id(datetime!(1969-12-31 0:00 UTC)).as_uuid().get_version_num(),
            7
        );
    }

    #[test]
    fn a_state_is_43_url_safe_characters_and_never_the_same() {
        let state = RandomIds.state();
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert_eq!(state.expose().len(), 43);
        assert!(state.expose().bytes().all(safe));
        assert_ne!(RandomIds.state().expose(), state.expose());
        assert_ne!(RandomIds.lease_holder(), RandomIds.lease_holder());
    }
    #[test]
    fn a_bearer_token_is_recognised_by_its_beginning_and_never_the_same() {
        let token = RandomIds.bearer_token();
        assert!(token.expose().starts_with("igacc_"));
        assert_eq!(token.expose().len(), "igacc_".len() + 43);
        assert_ne!(RandomIds.bearer_token().expose(), token.expose());
    }
}
