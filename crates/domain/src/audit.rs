//! Audit entries: the record of a token that was handed out, without the token.

use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{AccountId, CallerName, InstagramAccount, Owner, ProfessionalAccountId};

/// Purpose for which a caller wants a token, in its own words.
///
/// At most [`MAX_LENGTH`](Self::MAX_LENGTH) characters, none of them a control character. May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purpose(String);

/// The text is too long or holds control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a purpose is at most {} characters, without control characters", Purpose::MAX_LENGTH)]
pub struct InvalidPurpose;

impl Purpose {
    /// Maximum number of characters.
    pub const MAX_LENGTH: usize = 128;

    /// The text, as the caller sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Purpose {
    type Err = InvalidPurpose;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let valid = raw.chars().count() <= Self::MAX_LENGTH && !raw.chars().any(char::is_control);
        if valid { Ok(Self(raw.to_owned())) } else { Err(InvalidPurpose) }
    }
}

/// The id under which a call is logged and audited.
///
/// 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

/// The text is empty, too long, or not printable ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request id is 1 to {} printable ASCII characters", RequestId::MAX_LENGTH)]
pub struct InvalidRequestId;

impl RequestId {
    /// Maximum number of characters.
    pub const MAX_LENGTH: usize = 128;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = InvalidRequestId;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let printable = raw.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let valid = printable && (1..=Self::MAX_LENGTH).contains(&raw.len());
        if valid { Ok(Self(raw.to_owned())) } else { Err(InvalidRequestId) }
    }
}

/// The id of an audit entry: a `UUIDv7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuditId(Uuid);

impl AuditId {
    /// Wraps a UUID that the id source made or the store kept.
    #[must_use]
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID itself.
    #[must_use]
    pub fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for AuditId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// One token handed out. Never the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The entry's id.
    pub id: AuditId,
    /// Moment at which the token was handed out, by the business clock.
    pub time: OffsetDateTime,
    /// Caller that received the token.
    pub caller: CallerName,
    /// Purpose that the caller gave.
    pub purpose: Purpose,
    /// Id of the call.
    pub request_id: RequestId,
    /// Account that the token belongs to.
    pub account: AccountId,
    /// Instagram's id of that account.
    pub professional_account_id: ProfessionalAccountId,
    /// The account's owner at that moment.
    pub owner: Owner,
    /// Moment at which that token was issued; `None` where it is not known.
    pub token_issue_time: Option<OffsetDateTime>,
    /// Moment at which that token expires; `None` where it is not known.
    pub token_expire_time: Option<OffsetDateTime>,
    /// The account's revision at that moment.
    pub revision: i64,
}

/// Recipient of a token: the caller, its purpose and its call.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The caller.
    pub caller: CallerName,
    /// Purpose for which it wants the token.
    pub purpose: Purpose,
    /// Id of the call by which it asked.
    pub request_id: RequestId,
}

impl AuditEntry {
    /// The entry for the token of `account` that `recipient` received at `now`.
    #[must_use]
    pub fn of(
        id: AuditId,
        recipient: Recipient,
        account: &InstagramAccount,
        now: OffsetDateTime,
    ) -> Self {
        let Recipient { caller, purpose, request_id } = recipient;
        Self {
            id,
            time: now,
            caller,
            purpose,
            request_id,
            account: account.id,
            professional_account_id: account.professional_account_id.clone(),
            owner: account.owner.clone(),
            token_issue_time: account.token_issue_time,
            token_expire_time: account.token_expire_time,
            revision: account.revision,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none("", true)]
    #[case::words("publish: spring sale, post 7", true)]
    #[case::longest(&"ü".repeat(128), true)]
    #[case::too_long(&"ü".repeat(129), false)]
    #[case::line_break("publish\nforged line", false)]
    #[case::escape("\u{1b}[2J", false)]
    fn a_purpose_is_a_short_text_of_one_line(#[case] raw: &str, #[case] valid: bool) {
        assert_eq!(raw.parse::<Purpose>().is_ok(), valid);
    }

    proptest! {
        #[test]
        fn a_request_id_is_kept_as_it_is_or_refused(raw in ".{0,140}") {
            let printable = raw.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            let fits = printable && (1..=128).contains(&raw.len());
            let parsed = raw.parse::<RequestId>();
            prop_assert_eq!(parsed.is_ok(), fits);
            prop_assert!(parsed.is_err() || parsed.unwrap().as_str() == raw);
        }
    }
}
