//! A long-lived token with its times of issue and expiry.

use std::time::Duration;

use time::OffsetDateTime;

use crate::LongLivedToken;

/// Minimum age of a token that Instagram renews.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token>.
pub const MIN_RENEWAL_AGE: Duration = Duration::from_hours(24);

/// A token's whole life as Instagram stated it (`expires_in`): one second to ten years.
///
/// The ceiling is ours; it keeps an absurd answer from becoming an absurd date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLifetime(Duration);

impl TokenLifetime {
    /// The lifetime, or `None` outside one second to ten years.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        let ten_years = 10 * 365 * 24 * 60 * 60;
        (1..=ten_years).contains(&seconds).then(|| Self(Duration::from_secs(seconds)))
    }

    /// The lifetime as a span.
    #[must_use]
    pub fn as_duration(self) -> Duration {
        self.0
    }
}

/// Remaining lifetime that a token of unknown end is taken to have, where a caller wants a minimum. Ours.
pub const UNKNOWN_END_LIFETIME: Duration = Duration::from_hours(1);

/// A long-lived token with what is known of its life.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    /// The token.
    pub token: LongLivedToken,
    /// Moment at which we received it, by the business clock; of an imported one the moment of its issue. `None` where
    /// that is not known.
    pub issue_time: Option<OffsetDateTime>,
    /// Moment at which it expires. `None` where that is not known.
    pub expire_time: Option<OffsetDateTime>,
}

impl TokenGrant {
    /// The grant of a token that was received at `now` and lives for `lifetime`.
    #[must_use]
    pub fn received(token: LongLivedToken, lifetime: TokenLifetime, now: OffsetDateTime) -> Self {
        let expire_time = now + lifetime.as_duration();
        Self { token, issue_time: Some(now), expire_time: Some(expire_time) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_neither_zero_nor_absurd() {
        assert_eq!(TokenLifetime::from_seconds(0), None);
        assert!(TokenLifetime::from_seconds(5_183_944).is_some());
        assert_eq!(TokenLifetime::from_seconds(u64::MAX), None);
    }
}
