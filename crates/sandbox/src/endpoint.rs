//! Endpoint that a path of the API means, with or without a version in front.

use axum::http::Method;
use serde::{Deserialize, Serialize};

/// The parts of the API, and the requests that the sandbox itself sends, by the names that the request log and the
/// faults use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndpointName {
    Token,
    Exchange,
    Refresh,
    Me,
    Id,
    SubscribedApps,
    Media,
    MediaPublish,
    Unknown,
    Webhook,
    Deauthorize,
    DataDeletion,
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/oauth/access_token`: code to short-lived token.
    Token,
    /// `/access_token`: short-lived to long-lived token.
    Exchange,
    /// `/refresh_access_token`.
    Refresh,
    /// `/me` or `/{id}`; an id may be a container's too.
    Profile(Node),
    /// `/me/subscribed_apps` or `/{id}/subscribed_apps`.
    SubscribedApps(Node),
    /// `/me/media` or `/{id}/media`.
    Media(Node),
    /// `/me/media_publish` or `/{id}/media_publish`.
    MediaPublish(Node),
    /// Any other path, by the part that is not known.
    Unknown(String),
}

/// An account as a path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Me,
    Id(String),
}

impl Endpoint {
    /// Reads a path; every path means something, if only [`Unknown`](Self::Unknown).
    pub(crate) fn parse(path: &str) -> Self {
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.first().is_some_and(|part| is_version(part)) {
            parts.remove(0);
        }
        match parts.as_slice() {
            ["oauth", "access_token"] => Self::Token,
            ["access_token"] => Self::Exchange,
            ["refresh_access_token"] => Self::Refresh,
            [first, rest @ ..] => match (Node::parse(first), rest) {
                (Some(node), []) => Self::Profile(node),
                (Some(node), ["subscribed_apps"]) => Self::SubscribedApps(node),
                (Some(node), ["media"]) => Self::Media(node),
                (Some(node), ["media_publish"]) => Self::MediaPublish(node),
                (Some(_), rest) => Self::Unknown(format!("/{}", rest.join("/"))),
                (None, _) => Self::Unknown(format!("/{}", parts.join("/"))),
            },
            [] => Self::Unknown("/".to_owned()),
        }
    }

    /// Whether the endpoint takes this method.
    pub(crate) fn takes(&self, method: &Method) -> bool {
        match self {
            Self::Media(_) | Self::MediaPublish(_) => method == Method::POST,
            Self::SubscribedApps(_) => {
                matches!(*method, Method::GET | Method::POST | Method::DELETE)
            }
            _ => method == Method::GET,
        }
    }

    /// Whether parameters may also come as a JSON object.
    pub(crate) fn takes_json(&self) -> bool {
        matches!(self, Self::Media(_) | Self::MediaPublish(_))
    }

    pub(crate) fn name(&self) -> EndpointName {
        match self {
            Self::Token => EndpointName::Token,
            Self::Exchange => EndpointName::Exchange,
            Self::Refresh => EndpointName::Refresh,
            Self::Profile(Node::Me) => EndpointName::Me,
            Self::Profile(Node::Id(_)) => EndpointName::Id,
            Self::SubscribedApps(_) => EndpointName::SubscribedApps,
            Self::Media(_) => EndpointName::Media,
            Self::MediaPublish(_) => EndpointName::MediaPublish,
            Self::Unknown(_) => EndpointName::Unknown,
        }
    }
}

impl Node {
    fn parse(part: &str) -> Option<Self> {
        match part {
            "me" => Some(Self::Me),
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(Self::Id(digits.to_owned()))
            }
            _ => None,
        }
    }
}

/// `v25.0` and the like.
fn is_version(part: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let rest = part.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    rest.is_some_and(|(major, minor)| number(major) && number(minor))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::token("/oauth/access_token", Endpoint::Token)]
    #[case::versioned_token("/v25.0/oauth/access_token", Endpoint::Token)]
    #[case::exchange("/v23.0/access_token", Endpoint::Exchange)]
    #[case::refresh("/refresh_access_token/", Endpoint::Refresh)]
    #[case::me("/v25.0/me", Endpoint::Profile(Node::Me))]
    #[case::id("/17841", Endpoint::Profile(Node::Id("17841".to_owned())))]
    #[case::subscribed("/me/subscribed_apps", Endpoint::SubscribedApps(Node::Me))]
    #[case::media("/v25.0/17841/media", Endpoint::Media(Node::Id("17841".to_owned())))]
    #[case::media_publish("/me/media_publish", Endpoint::MediaPublish(Node::Me))]
    #[case::below_me("/v25.0/me/friends/x", Endpoint::Unknown("/friends/x".to_owned()))]
    #[case::no_version("/v25/me", Endpoint::Unknown("/v25/me".to_owned()))]
    #[case::root("/", Endpoint::Unknown("/".to_owned()))]
    fn paths_mean_what_instagram_means_by_them(#[case] path: &str, #[case] endpoint: Endpoint) {
        assert_eq!(Endpoint::parse(path), endpoint);
    }

    proptest::proptest! {
        #[test]
        fn no_path_is_too_strange(path: String) {
            let _ = Endpoint::parse(&path).name();
        }
    }
}
