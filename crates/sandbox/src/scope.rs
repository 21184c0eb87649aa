//! The permissions a person can grant.

use serde::Serialize;

/// A permission of Instagram Login; the names without `instagram_` died on 2025-01-27.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Scope {
    #[serde(rename = "instagram_business_basic")]
    Basic,
    #[serde(rename = "instagram_business_content_publish")]
    ContentPublish,
    #[serde(rename = "instagram_business_manage_messages")]
    ManageMessages,
    #[serde(rename = "instagram_business_manage_comments")]
    ManageComments,
    #[serde(rename = "instagram_business_manage_insights")]
    ManageInsights,
}

impl Scope {
    pub(crate) const ALL: [Self; 5] = [
        Self::Basic,
        Self::ContentPublish,
        Self::ManageMessages,
        Self::ManageComments,
        Self::ManageInsights,
    ];

    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Basic => "instagram_business_basic",
            Self::ContentPublish => "instagram_business_content_publish",
            Self::ManageMessages => "instagram_business_manage_messages",
            Self::ManageComments => "instagram_business_manage_comments",
            Self::ManageInsights => "instagram_business_manage_insights",
        }
    }

    /// Purpose of the permission, as the consent page tells it.
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Basic => "See your profile and your media",
            Self::ContentPublish => "Publish posts for you",
            Self::ManageMessages => "Read and answer your messages",
            Self::ManageComments => "Read and answer comments",
            Self::ManageInsights => "See how your posts do",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// Reads a list that commas or blanks separate; repeats count once. The error lists what is unknown.
pub(crate) fn parse_scopes(list: &str) -> Result<Vec<Scope>, Vec<String>> {
    let mut scopes = Vec::new();
    let mut unknown = Vec::new();
    for name in list.split([',', ' ']).filter(|name| !name.is_empty()) {
        match Scope::named(name) {
            Some(scope) if scopes.contains(&scope) => {}
            Some(scope) => scopes.push(scope),
            None => unknown.push(name.to_owned()),
        }
    }
    if unknown.is_empty() { Ok(scopes) } else { Err(unknown) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::commas("instagram_business_basic,instagram_business_manage_comments")]
    #[case::blanks("instagram_business_basic instagram_business_manage_comments")]
    #[case::both_and_repeats(
        "instagram_business_basic, instagram_business_manage_comments,instagram_business_basic"
    )]
    fn lists_are_read_in_either_spelling(#[case] list: &str) {
        assert_eq!(parse_scopes(list), Ok(vec![Scope::Basic, Scope::ManageComments]));
    }

    #[test]
    fn a_dead_name_is_unknown() {
        assert_eq!(
            parse_scopes("instagram_business_basic,business_basic"),
            Err(vec!["business_basic".to_owned()])
        );
    }
}
