//! Permissions: those requested of a person, and those that the person granted.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The name of one permission, such as `instagram_business_basic`.
///
/// 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) of `a-z` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(String);

/// Old names of permissions (until 2025-01-27) with their present names; one permission had two old ones.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>
/// and Meta's early pages.
const RENAMED: [(&str, &str); 5] = [
    ("business_basic", "instagram_business_basic"),
    ("business_content_publish", "instagram_business_content_publish"),
    ("business_content_publishing", "instagram_business_content_publish"),
    ("business_manage_messages", "instagram_business_manage_messages"),
    ("business_manage_comments", "instagram_business_manage_comments"),
];

/// The text is not the name of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is 1 to {} of a-z and '_'", Scope::MAX_LENGTH)]
pub struct InvalidScope;

impl Scope {
    /// Maximum number of characters.
    pub const MAX_LENGTH: usize = 64;

    /// The one permission that every link needs: it carries login, profile and renewal.
    ///
    /// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>.
    #[must_use]
    pub fn basic() -> Self {
        Self("instagram_business_basic".to_owned())
    }

    /// The permission to publish.
    ///
    /// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>.
    #[must_use]
    pub fn content_publish() -> Self {
        Self("instagram_business_content_publish".to_owned())
    }

    /// The present name of a permission that Instagram has renamed; `None` where this is no old name. One old name in
    /// an authorization request makes all of it fail.
    #[must_use]
    pub fn present_name(&self) -> Option<&'static str> {
        RENAMED.iter().find(|(old, _)| *old == self.0).map(|(_, present)| *present)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let valid = (1..=Self::MAX_LENGTH).contains(&raw.len()) && raw.bytes().all(allowed);
        if valid { Ok(Self(raw.to_owned())) } else { Err(InvalidScope) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Permissions that a person is asked to grant: 1 to [`MAX_SCOPES`](Self::MAX_SCOPES), [`Scope::basic`] always among
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedScopes(BTreeSet<Scope>);

/// More than [`RequestedScopes::MAX_SCOPES`] different permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at most {} scopes can be asked for", RequestedScopes::MAX_SCOPES)]
pub struct TooManyScopes;

impl RequestedScopes {
    /// Maximum number of different permissions.
    pub const MAX_SCOPES: usize = 20;

    /// The given permissions and [`Scope::basic`].
    ///
    /// # Errors
    ///
    /// [`TooManyScopes`] when that makes more than [`MAX_SCOPES`](Self::MAX_SCOPES).
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, TooManyScopes> {
        let mut all: BTreeSet<_> = scopes.into_iter().collect();
        all.insert(Scope::basic());
        if all.len() <= Self::MAX_SCOPES { Ok(Self(all)) } else { Err(TooManyScopes) }
    }

    /// Default permissions where the caller names none: reading and publishing.
    #[must_use]
    pub fn usual() -> Self {
        Self(BTreeSet::from([Scope::basic(), Scope::content_publish()]))
    }

    /// The permissions, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// The permissions that were asked for and not granted; empty where Instagram did not say.
    #[must_use]
    pub fn missing_from(&self, granted: &GrantedScopes) -> Vec<Scope> {
        match granted {
            GrantedScopes::Known(granted) => self.0.difference(granted).cloned().collect(),
            GrantedScopes::Unknown => Vec::new(),
        }
    }
}

/// Permissions that a person granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantedScopes {
    /// Instagram named the permissions; the set may be empty.
    Known(BTreeSet<Scope>),
    /// Instagram did not name them.
    Unknown,
}

impl GrantedScopes {
    /// Whether Instagram named the granted permissions and `scope` is not among them.
    #[must_use]
    pub fn lack(&self, scope: &Scope) -> bool {
        matches!(self, Self::Known(granted) if !granted.contains(scope))
    }

    /// The permissions, in alphabetical order; none where Instagram did not say.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        let known = match self {
            Self::Known(granted) => Some(granted),
            Self::Unknown => None,
        };
        known.into_iter().flatten()
    }

    /// Whether Instagram named the granted permissions.
    #[must_use]
    pub fn are_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_always_asked_for() {
        let asked = RequestedScopes::new([Scope::content_publish()]).unwrap();
        assert_eq!(asked, RequestedScopes::usual());
    }

    #[test]
    fn twenty_is_the_limit_basic_included() {
        let names = |count: u8| (0..count).map(|n| Scope(format!("s_{}", char::from(b'a' + n))));
        assert!(RequestedScopes::new(names(19)).is_ok());
        assert_eq!(RequestedScopes::new(names(20)), Err(TooManyScopes));
    }

    #[test]
    fn nothing_is_missing_where_instagram_did_not_say() {
        let asked = RequestedScopes::usual();
        let granted = GrantedScopes::Known(BTreeSet::from([Scope::basic()]));
        assert_eq!(asked.missing_from(&granted), [Scope::content_publish()]);
        assert_eq!(asked.missing_from(&GrantedScopes::Unknown), []);
        assert!(!GrantedScopes::Unknown.lack(&Scope::basic()));
    }

    #[test]
    fn an_old_name_leads_to_a_present_one() {
        for (old, present) in RENAMED {
            assert_eq!(old.parse::<Scope>().unwrap().present_name(), Some(present));
            assert_eq!(present.parse::<Scope>().unwrap().present_name(), None);
        }
    }

    #[test]
    fn a_scope_is_lower_case_letters_and_underscores() {
        for raw in ["", "Basic", "a-b", "a1", &"a".repeat(65)] {
            assert_eq!(raw.parse::<Scope>(), Err(InvalidScope), "{raw:?}");
        }
    }
}
