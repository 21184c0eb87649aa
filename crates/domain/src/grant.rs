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
    /// Maximum lifetime: ten years.
    const MAX: Duration = Duration::from_hours(10 * 365 * 24);

    /// The lifetime, or `None` outside one second to ten years.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        (1..=Self::MAX.as_secs()).contains(&seconds).then(|| Self(Duration::from_secs(seconds)))
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

/// What is told of the life of a token that is to be imported.
///
/// Each time is truncated to microseconds, as the store keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ImportedLife {
    issue_time: Option<OffsetDateTime>,
    expire_time: Option<OffsetDateTime>,
}

/// Reason for which a time of a token cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokenTime {
    /// The token is said to be issued later than now.
    #[error("a token's issue lies in the past")]
    IssuedLater,
    /// The token is said to be older than any is.
    #[error("a token was issued within the last ten years")]
    IssuedLongAgo,
    /// The token is said to have expired.
    #[error("a token's expiry lies in the future: one that has expired serves nobody")]
    Expired,
    /// The token is said to live longer than any does.
    #[error("a token expires within ten years")]
    ExpiresLate,
    /// The token is said to expire before it was issued.
    #[error("a token expires after its issue")]
    ExpiresBeforeIssue,
}

impl ImportedLife {
    /// The life that was told at `now`, where each time is right, or else why each wrong one is: that of the issue first.
    ///
    /// # Errors
    ///
    /// Both reasons, at least one of which is there.
    pub fn told(
        issue_time: Option<OffsetDateTime>,
        expire_time: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<Self, (Option<InvalidTokenTime>, Option<InvalidTokenTime>)> {
        let wrong_issue = issue_time.and_then(|issue| match issue {
            issue if issue > now => Some(InvalidTokenTime::IssuedLater),
            issue if issue < now - TokenLifetime::MAX => Some(InvalidTokenTime::IssuedLongAgo),
            _ => None,
        });
        let wrong_expiry = expire_time.and_then(|end| match end {
            end if issue_time.is_some_and(|issue| end <= issue) => {
                Some(InvalidTokenTime::ExpiresBeforeIssue)
            }
            end if end <= now => Some(InvalidTokenTime::Expired),
            end if end > now + TokenLifetime::MAX => Some(InvalidTokenTime::ExpiresLate),
            _ => None,
        });
        if wrong_issue.is_some() || wrong_expiry.is_some() {
            return Err((wrong_issue, wrong_expiry));
        }
        let [issue_time, expire_time] =
            [issue_time, expire_time].map(|time| time.map(OffsetDateTime::truncate_to_microsecond));
        Ok(Self { issue_time, expire_time })
    }

    /// Moment at which the token was issued; `None` where it was not told.
    #[must_use]
    pub fn issue_time(&self) -> Option<OffsetDateTime> {
        self.issue_time
    }

    /// Moment at which the token expires; `None` where it was not told.
    #[must_use]
    pub fn expire_time(&self) -> Option<OffsetDateTime> {
        self.expire_time
    }

    /// Moment of the consent that the token is taken to rest on: its issue, or the earliest where that was not told, so
    /// that a consent of which more is known outdoes it.
    #[must_use]
    pub fn consent_time(&self) -> OffsetDateTime {
        self.issue_time.unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// The grant of the token with this life.
    #[must_use]
    pub fn grant(&self, token: LongLivedToken) -> TokenGrant {
        TokenGrant { token, issue_time: self.issue_time, expire_time: self.expire_time }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-29 08:00 UTC);
    const SECOND: time::Duration = time::Duration::SECOND;
    const TEN_YEARS: time::Duration = time::Duration::days(3650);

    #[rstest]
    #[case::nothing(None, None, (None, None))]
    #[case::both(Some(NOW), Some(NOW + SECOND), (None, None))]
    #[case::the_longest_life(Some(NOW - TEN_YEARS), Some(NOW + TEN_YEARS), (None, None))]
    #[case::issued_later(Some(NOW + SECOND), None, (Some(InvalidTokenTime::IssuedLater), None))]
    #[case::issued_in_1970(Some(OffsetDateTime::UNIX_EPOCH), None, (Some(InvalidTokenTime::IssuedLongAgo), None))]
    #[case::expired(None, Some(NOW), (None, Some(InvalidTokenTime::Expired)))]
    #[case::expires_late(None, Some(NOW + TEN_YEARS + SECOND), (None, Some(InvalidTokenTime::ExpiresLate)))]
    #[case::backwards(Some(NOW - SECOND), Some(NOW - SECOND), (None, Some(InvalidTokenTime::ExpiresBeforeIssue)))]
    #[case::all_wrong(
        Some(NOW + SECOND * 2),
        Some(NOW + SECOND),
        (Some(InvalidTokenTime::IssuedLater), Some(InvalidTokenTime::ExpiresBeforeIssue))
    )]
    fn a_life_is_told_in_times_that_can_be(
        #[case] issue_time: Option<OffsetDateTime>,
        #[case] expire_time: Option<OffsetDateTime>,
        #[case] expected: (Option<InvalidTokenTime>, Option<InvalidTokenTime>),
    ) {
        let told = ImportedLife::told(issue_time, expire_time, NOW);
        assert_eq!(told.err().unwrap_or_default(), expected);
    }

    #[test]
    fn a_told_time_is_kept_as_the_store_keeps_it() {
        let fine = NOW - time::Duration::nanoseconds(1);
        let life = ImportedLife::told(Some(fine), None, NOW).unwrap();
        assert_eq!(life.issue_time(), Some(NOW - time::Duration::microseconds(1)));
        assert_eq!(life.consent_time(), NOW - time::Duration::microseconds(1));
        let unknown = ImportedLife::default().consent_time();
        assert_eq!(unknown, OffsetDateTime::UNIX_EPOCH);
    }

    #[test]
    fn a_lifetime_is_neither_zero_nor_absurd() {
        assert_eq!(TokenLifetime::from_seconds(0), None);
        assert!(TokenLifetime::from_seconds(5_183_944).is_some());
        assert_eq!(TokenLifetime::from_seconds(u64::MAX), None);
    }
}
