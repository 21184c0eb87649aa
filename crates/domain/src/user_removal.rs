//! Removals of a person: Meta asks to deauthorise a user of the app, or to delete the user's data.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use time::OffsetDateTime;

use crate::{AccountId, AppScopedUserId, InstagramAccount};

/// Maximum time by which a request may have been issued ahead of our clock.
pub const MAX_ISSUE_TIME_AHEAD: Duration = Duration::from_mins(5);

/// A request of Meta's whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// The person, under our app.
    pub user: AppScopedUserId,
    /// Moment at which Meta issued it, in whole seconds.
    pub issue_time: OffsetDateTime,
}

impl SignedRequest {
    /// Whether it was issued further ahead of `now` than clocks differ. Such a one would outlast consents to come.
    #[must_use]
    pub fn is_too_far_ahead(&self, now: OffsetDateTime) -> bool {
        self.issue_time > now + MAX_ISSUE_TIME_AHEAD
    }
}

/// Code under which a person follows the deletion of his data: 32 of `0-9` and `a-f`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfirmationCode(String);

/// The text is not a confirmation code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a confirmation code is {} of 0-9 and a-f", ConfirmationCode::LENGTH)]
pub struct InvalidConfirmationCode;

impl ConfirmationCode {
    /// Number of characters.
    pub const LENGTH: usize = 32;

    /// The characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConfirmationCode {
    type Err = InvalidConfirmationCode;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let valid = raw.len() == Self::LENGTH && raw.bytes().all(allowed);
        if valid { Ok(Self(raw.to_owned())) } else { Err(InvalidConfirmationCode) }
    }
}

impl fmt::Display for ConfirmationCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Outcome of a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemovalOutcome {
    /// The accounts of the person were deauthorised or deleted.
    Done {
        /// Those accounts. Of a deletion all of which something is still to be erased, unlinked ones among them.
        accounts: Vec<AccountId>,
    },
    /// The person consented again after the request was issued, so nothing was changed; the accounts are visited next.
    ConsentedSince {
        /// The person's accounts.
        accounts: Vec<AccountId>,
    },
    /// No account of the person is stored.
    NothingStored,
}

impl RemovalOutcome {
    /// The outcome of a removal by the accounts that it changed, and by those whose consent was newer.
    #[must_use]
    pub fn of(removed: Vec<AccountId>, kept: Vec<AccountId>) -> Self {
        match (removed.is_empty(), kept.is_empty()) {
            (false, _) => Self::Done { accounts: removed },
            (true, false) => Self::ConsentedSince { accounts: kept },
            (true, true) => Self::NothingStored,
        }
    }
}

/// State of the deletion of a person's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionState {
    /// The accounts are gone, and what is left of them is being erased.
    Running,
    /// All of it is erased.
    Deleted,
    /// The person consented again after the request was issued: what was older is erased, the rest was kept.
    OlderDeleted,
    /// The person consented again after the request was issued: nothing was deleted.
    ConsentedSince,
    /// Nothing was stored of the person.
    NothingStored,
}

/// Deletion of a person's data, as its code finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Its code.
    pub code: ConfirmationCode,
    /// Its state.
    pub state: DeletionState,
    /// Moment at which Meta's request came.
    pub request_time: OffsetDateTime,
    /// Moment at which it ended; `None` while it is running.
    pub end_time: Option<OffsetDateTime>,
}

impl InstagramAccount {
    /// Whether a removal that Meta issued at `issue_time` holds for the account: its consent is not newer. Both are
    /// compared in seconds, since Meta names no finer ones.
    #[must_use]
    pub fn is_removed_by(&self, issue_time: OffsetDateTime) -> bool {
        self.consent_time.unix_timestamp() <= issue_time.unix_timestamp()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_confirmation_code_reads_back_from_its_own_text() {
        let raw = "0123456789abcdef0123456789abcdef";
        let code: ConfirmationCode = raw.parse().unwrap();
        assert_eq!((code.as_str(), code.to_string().as_str()), (raw, raw));
    }

    #[test]
    fn anything_else_is_no_confirmation_code() {
        let (short, upper) = ("0".repeat(31), "A".repeat(32));
        for raw in ["", &short, &format!("{short}00"), &upper, &format!("{short}/")] {
            assert_eq!(raw.parse::<ConfirmationCode>(), Err(InvalidConfirmationCode), "{raw:?}");
        }
    }

    #[test]
    fn a_request_may_be_ahead_by_as_much_as_clocks_differ() {
        let now = datetime!(2026-11-29 08:00 UTC);
        let user: AppScopedUserId = "7".parse().unwrap();
        for (ahead, expected) in [(0, false), (300, false), (301, true)] {
            let issue_time = now + Duration::from_secs(ahead);
            let request = SignedRequest { user: user.clone(), issue_time };
            assert_eq!(request.is_too_far_ahead(now), expected, "{ahead}");
        }
    }
}
