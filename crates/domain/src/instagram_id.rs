//! Instagram's two ids of one account: alike to the eye, never interchangeable.

use std::fmt;
use std::str::FromStr;

/// The text is not an Instagram id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an Instagram id is 1 to {} digits", InstagramId::MAX_LENGTH)]
pub struct InvalidInstagramId;

/// A professional account's id: `user_id` of `/me`, the `entry.id` of webhooks. Never the app-scoped
/// `id`.
///
/// 1 to [`InstagramId::MAX_LENGTH`] ASCII digits, kept as text: the values exceed what a double can hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProfessionalAccountId(String);

/// A person's id under one Meta app: `id` of `/me`, the id of deauthorize and data-deletion requests.
///
/// The same form as a [`ProfessionalAccountId`], another number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppScopedUserId(String);

/// An Instagram id of either kind, as a caller sends it to find an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstagramId(String);

impl InstagramId {
    /// Maximum number of digits of an id of either kind. Ours; Instagram names none.
    pub const MAX_LENGTH: usize = 20;
}

fn digits(raw: &str) -> Result<String, InvalidInstagramId> {
    let digits = raw.bytes().all(|byte| byte.is_ascii_digit());
    let valid = digits && (1..=InstagramId::MAX_LENGTH).contains(&raw.len());
    if valid { Ok(raw.to_owned()) } else { Err(InvalidInstagramId) }
}

macro_rules! decimal_id {
    ($name:ident) => {
        impl $name {
            /// The digits, exactly as Instagram sent them.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidInstagramId;

            fn from_str(raw: &str) -> Result<Self, Self::Err> {
                digits(raw).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

decimal_id!(ProfessionalAccountId);
decimal_id!(AppScopedUserId);
decimal_id!(InstagramId);

impl From<ProfessionalAccountId> for InstagramId {
    fn from(id: ProfessionalAccountId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_digit_is_ever_lost(id in "[0-9]{1,20}") {
            let parsed: ProfessionalAccountId = id.parse().unwrap();
            prop_assert_eq!(parsed.as_str(), id);
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(raw in ".*") {
            let fits = (1..=20).contains(&raw.len()) && raw.bytes().all(|byte| byte.is_ascii_digit());
            prop_assert_eq!(raw.parse::<AppScopedUserId>().is_ok(), fits);
        }
    }
}
