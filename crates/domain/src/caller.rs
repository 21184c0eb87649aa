//! Callers: their names, their roles and the owners that they may act for.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::OwnerScope;

/// The name of a caller: under mutual TLS one of its certificate's names, so a DNS name or a URI.
///
/// 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) printable ASCII characters without blanks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallerName(String);

/// The text is empty, too long, or not printable ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a caller's name is 1 to {} printable ASCII characters without blanks",
    CallerName::MAX_LENGTH
)]
pub struct InvalidCallerName;

impl CallerName {
    /// Maximum number of characters.
    pub const MAX_LENGTH: usize = 255;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CallerName {
    type Err = InvalidCallerName;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let valid = (1..=Self::MAX_LENGTH).contains(&raw.len())
            && raw.bytes().all(|byte| byte.is_ascii_graphic());
        if valid { Ok(Self(raw.to_owned())) } else { Err(InvalidCallerName) }
    }
}

impl fmt::Display for CallerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Declares the roles, each by a row with its name in settings and messages.
macro_rules! roles {
    ($($(#[$doc:meta])+ $role:ident = $name:literal;)+) => {
        /// Something that a caller may do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Role {
            $($(#[$doc])+ $role,)+
        }

        impl Role {
            /// Every role.
            pub const ALL: &[Self] = &[$(Self::$role),+];

            /// The name in settings and messages.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$role => $name,)+
                }
            }
        }
    };
}

roles! {
    /// Read the stored data of accounts.
    Read = "read";
    /// Link accounts and refresh them.
    Link = "link";
    /// Receive tokens, and refresh accounts.
    Token = "token";
    /// Receive the updates that Instagram sends of accounts.
    Webhook = "webhook";
    /// Everything.
    Admin = "admin";
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of {}", Role::ALL.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", "))]
pub struct InvalidRole;

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|role| role.as_str() == raw).ok_or(InvalidRole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A service that calls us, as the operator configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Name of the caller in settings, logs and the audit.
    pub name: CallerName,
    /// Roles of the caller.
    pub roles: Vec<Role>,
    /// Owners for whose accounts the roles hold.
    pub owners: OwnerScope,
    /// Maximum number of its concurrent calls; `None` for the usual limit.
    pub max_in_flight: Option<NonZeroU32>,
}

impl Caller {
    /// The one caller of a deployment that does not tell callers apart: it may do everything.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            name: CallerName("anonymous".to_owned()),
            roles: vec![Role::Admin],
            owners: OwnerScope::everyone(),
            max_in_flight: None,
        }
    }

    /// Whether it has one of `roles`, or all of them as an admin.
    #[must_use]
    pub fn has_any(&self, roles: &[Role]) -> bool {
        self.roles.iter().any(|role| *role == Role::Admin || roles.contains(role))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::dns("publisher.internal", true)]
    #[case::uri("spiffe://prod/ns/shop/sa/publisher", true)]
    #[case::longest(&"a".repeat(255), true)]
    #[case::too_long(&"a".repeat(256), false)]
    #[case::empty("", false)]
    #[case::blank("pub lisher", false)]
    #[case::control("pub\nlisher", false)]
    #[case::beyond_ascii("pübli", false)]
    fn a_name_fits_a_certificate_and_a_log(#[case] raw: &str, #[case] valid: bool) {
        assert_eq!(raw.parse::<CallerName>().is_ok(), valid);
    }

    #[rstest]
    #[case::the_role(&[Role::Read], &[Role::Read], true)]
    #[case::another(&[Role::Read], &[Role::Token], false)]
    #[case::one_of_two(&[Role::Token], &[Role::Link, Role::Token], true)]
    #[case::admin_is_all(&[Role::Admin], &[Role::Token], true)]
    #[case::none(&[], &[Role::Read], false)]
    fn a_role_is_had(#[case] has: &[Role], #[case] needed: &[Role], #[case] allowed: bool) {
        let caller = Caller { roles: has.to_vec(), ..Caller::anonymous() };
        assert_eq!(caller.has_any(needed), allowed);
    }

    #[test]
    fn roles_are_read_as_they_are_shown() {
        for &role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!("Admin".parse::<Role>(), Err(InvalidRole));
    }
}
