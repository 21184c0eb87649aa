//! Owner scopes: the owners whose accounts a caller may see and change.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{InvalidOwner, ListingOrder, Owner};

/// One owner exactly, or all owners whose name begins with a prefix.
///
/// Written as the owner, or as the prefix with a `*` behind it; `*` alone is every owner, and the empty text stands for
/// accounts without owner. An owner whose name ends in `*` can only be named by a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OwnerPattern {
    /// This owner alone.
    Exact(Owner),
    /// Owners whose name begins with this text.
    Prefix(Owner),
}

impl OwnerPattern {
    /// Whether the pattern matches `owner`.
    #[must_use]
    pub fn matches(&self, owner: &Owner) -> bool {
        match self {
            Self::Exact(exact) => owner == exact,
            Self::Prefix(prefix) => owner.as_str().starts_with(prefix.as_str()),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(owner)) => self.matches(owner),
            (Self::Prefix(_), Self::Prefix(beginning)) => self.matches(beginning),
            (Self::Exact(_), Self::Prefix(_)) => false,
        }
    }

    fn place(&self) -> (&str, bool) {
        match self {
            Self::Prefix(prefix) => (prefix.as_str(), false),
            Self::Exact(owner) => (owner.as_str(), true),
        }
    }
}

impl FromStr for OwnerPattern {
    type Err = InvalidOwner;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        match raw.strip_suffix('*') {
            Some(prefix) => prefix.parse().map(Self::Prefix),
            None => raw.parse().map(Self::Exact),
        }
    }
}

impl fmt::Display for OwnerPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => exact.fmt(formatter),
            Self::Prefix(prefix) => write!(formatter, "{prefix}*"),
        }
    }
}

/// The owners whose accounts a call is about, or a caller may see and change. For the caller, accounts of any other
/// owner do not exist.
///
/// Its patterns are disjoint and in the order of owners, so that equal scopes are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnerScope(Arc<[OwnerPattern]>);

/// A request names an owner that its caller may not act for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the caller may not act for this owner")]
pub struct OwnerNotAllowed;

impl OwnerScope {
    /// The owners that any of `patterns` matches; none where there is no pattern.
    #[must_use]
    pub fn of(mut patterns: Vec<OwnerPattern>) -> Self {
        // The widest of those that begin alike comes first, and covers the others.
        patterns.sort_by(|one, other| one.place().cmp(&other.place()));
        patterns.dedup_by(|pattern, former| former.covers(pattern));
        Self(patterns.into())
    }

    /// Every owner, and accounts without one.
    #[must_use]
    pub fn everyone() -> Self {
        Self(Arc::new([OwnerPattern::Prefix(Owner::default())]))
    }

    /// This owner alone; the empty one means accounts without owner.
    #[must_use]
    pub fn only(owner: Owner) -> Self {
        Self(Arc::new([OwnerPattern::Exact(owner)]))
    }

    /// Whether `owner` is in the scope.
    #[must_use]
    pub fn contains(&self, owner: &Owner) -> bool {
        self.0.iter().any(|pattern| pattern.matches(owner))
    }

    /// This scope; where a request names one `owner`, that owner alone.
    ///
    /// # Errors
    ///
    /// When that owner is outside the scope.
    pub fn narrowed(&self, owner: Option<Owner>) -> Result<Self, OwnerNotAllowed> {
        match owner {
            None => Ok(self.clone()),
            Some(owner) if self.contains(&owner) => Ok(Self::only(owner)),
            Some(_) => Err(OwnerNotAllowed),
        }
    }

    /// Disjoint patterns in the order of owners, for the queries of stores.
    #[must_use]
    pub fn patterns(&self) -> &[OwnerPattern] {
        &self.0
    }

    /// The order in which the accounts of these owners are listed.
    #[must_use]
    pub fn listing_order(&self) -> ListingOrder {
        match &*self.0 {
            [] | [OwnerPattern::Exact(_)] => ListingOrder::LinkTime,
            [OwnerPattern::Prefix(prefix)] if prefix.as_str().is_empty() => ListingOrder::LinkTime,
            _ => ListingOrder::Owner,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn scope(patterns: &[&str]) -> OwnerScope {
        OwnerScope::of(patterns.iter().map(|pattern| pattern.parse().unwrap()).collect())
    }

    #[rstest]
    #[case::exact(&["shop/7"], "shop/7", true)]
    #[case::exact_is_no_beginning(&["shop/7"], "shop/70", false)]
    #[case::a_beginning(&["shop/*"], "shop/7", true)]
    #[case::the_beginning_itself(&["shop/*"], "shop/", true)]
    #[case::another_beginning(&["shop/*"], "shops/7", false)]
    #[case::case_counts(&["shop/*"], "Shop/7", false)]
    #[case::a_star_within_is_a_star(&["a*b"], "axb", false)]
    #[case::a_star_within_is_itself(&["a*b"], "a*b", true)]
    #[case::any_of_several(&["shop/1", "cafe/*"], "cafe/2", true)]
    #[case::everyone(&["*"], "shop/7", true)]
    #[case::everyone_and_nobody(&["*"], "", true)]
    #[case::without_owner(&[""], "", true)]
    #[case::only_without_owner(&[""], "shop/7", false)]
    #[case::nothing(&[], "", false)]
    fn an_owner_is_within(#[case] patterns: &[&str], #[case] owner: &str, #[case] within: bool) {
        assert_eq!(scope(patterns).contains(&owner.parse().unwrap()), within);
    }

    #[test]
    fn a_request_narrows_to_its_owner_and_never_widens() {
        let shops = scope(&["shop/*"]);
        let seven: Owner = "shop/7".parse().unwrap();
        assert_eq!(shops.narrowed(None), Ok(shops.clone()));
        assert_eq!(shops.narrowed(Some(seven.clone())), Ok(OwnerScope::only(seven)));
        assert_eq!(shops.narrowed(Some(Owner::default())), Err(OwnerNotAllowed));
        // A request names one owner, whatever it looks like.
        let star: Owner = "shop/*".parse().unwrap();
        let narrowed = shops.narrowed(Some(star)).unwrap();
        assert!(!narrowed.contains(&"shop/7".parse().unwrap()));
    }

    #[rstest]
    #[case("shop/7")]
    #[case("shop/*")]
    #[case("*")]
    #[case("")]
    fn a_pattern_is_shown_as_it_is_written(#[case] raw: &str) {
        assert_eq!(raw.parse::<OwnerPattern>().unwrap().to_string(), raw);
    }

    #[rstest]
    #[case::sorted(&["b", "a"], &["a", "b"])]
    #[case::repeated(&["a", "a", "b*", "b*"], &["a", "b*"])]
    #[case::within_a_prefix(&["shop/7", "shop/*", "shop/a*", "shop/"], &["shop/*"])]
    #[case::the_prefix_as_owner(&["shop*", "shop"], &["shop*"])]
    #[case::beside_a_prefix(&["shop", "shop/*", "shop0"], &["shop", "shop/*", "shop0"])]
    #[case::within_a_prefix_behind_another(&["a", "ab*", "abc", "ac"], &["a", "ab*", "ac"])]
    #[case::everyone(&["", "shop", "*", "a*"], &["*"])]
    fn patterns_are_disjoint_and_in_order(#[case] given: &[&str], #[case] expected: &[&str]) {
        let scope = scope(given);
        let patterns: Vec<_> = scope.patterns().iter().map(ToString::to_string).collect();
        assert_eq!(patterns, expected);
    }

    #[rstest]
    #[case::nobody(&[], ListingOrder::LinkTime)]
    #[case::everyone(&["*", "shop"], ListingOrder::LinkTime)]
    #[case::one_owner(&["shop", "shop"], ListingOrder::LinkTime)]
    #[case::without_owner(&[""], ListingOrder::LinkTime)]
    #[case::a_prefix(&["shop/*"], ListingOrder::Owner)]
    #[case::two_owners(&["shop", "cafe"], ListingOrder::Owner)]
    fn the_order_follows_from_the_owners(
        #[case] patterns: &[&str],
        #[case] expected: ListingOrder,
    ) {
        assert_eq!(scope(patterns).listing_order(), expected);
    }
}
