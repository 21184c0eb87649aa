//! Ids that are ours or the deployment's: accounts, the Meta app, holders of a lease, events and their log.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Our id of a linked account: a `UUIDv7`, kept for as long as the account stays linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(Uuid);

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account id is a UUID such as 0199d3a0-7c1e-7000-8000-000000000001")]
pub struct InvalidAccountId;

impl AccountId {
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

impl FromStr for AccountId {
    type Err = InvalidAccountId;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let hyphenated = raw.len() == 36;
        let uuid = Uuid::try_parse(raw).ok().filter(|_| hyphenated);
        uuid.map(Self).ok_or(InvalidAccountId)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The *Instagram* app id of the one Meta app that a deployment serves. Not the Facebook app id.
///
/// 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) ASCII digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppId(String);

/// The text is not an app id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an Instagram app id is 1 to {} digits", AppId::MAX_LENGTH)]
pub struct InvalidAppId;

impl AppId {
    /// Maximum number of digits. Ours; Instagram names none.
    pub const MAX_LENGTH: usize = 20;

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppId {
    type Err = InvalidAppId;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let digits = raw.bytes().all(|byte| byte.is_ascii_digit());
        let valid = digits && (1..=Self::MAX_LENGTH).contains(&raw.len());
        if valid { Ok(Self(raw.to_owned())) } else { Err(InvalidAppId) }
    }
}

/// Holder of a lease: made anew for each piece of work, so that no two pieces share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseHolder(Uuid);

impl LeaseHolder {
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

/// The id of an event: random, kept for as long as the event, and never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId(Uuid);

impl EventId {
    /// No event: the beginning of a log is behind it.
    pub const NONE: Self = Self(Uuid::nil());

    /// Wraps a UUID that the store made.
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

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The id of a log of events: random, another one once the database was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogId(Uuid);

impl LogId {
    /// Wraps a UUID that the store made.
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

impl fmt::Display for LogId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_reads_back_from_its_own_text() {
        let id = AccountId::from_uuid(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn an_account_id_has_one_spelling_only() {
        assert_eq!("00000000000000000000000000000007".parse::<AccountId>(), Err(InvalidAccountId));
        assert_eq!("".parse::<AccountId>(), Err(InvalidAccountId));
    }

    #[test]
    fn an_app_id_is_digits() {
        assert!("990602627938098".parse::<AppId>().is_ok());
        assert_eq!("app".parse::<AppId>(), Err(InvalidAppId));
        assert_eq!("".parse::<AppId>(), Err(InvalidAppId));
    }
}
