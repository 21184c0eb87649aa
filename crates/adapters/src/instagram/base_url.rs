//! Base URLs of Instagram, or of a stand-in for it.

use std::net::IpAddr;

use reqwest::Url;

/// The start of every URL of one of Instagram's hosts.
///
/// https, or http to a loopback host; plain http elsewhere only by leave. A path such as `/v25.0` may
/// follow the host; user name, password, query and fragment may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Reason for which a text is no [`BaseUrl`].
///
/// The message continues the name of the setting; the text is not repeated, for it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// Relative, malformed, or with blanks.
    #[error("is not an absolute URL")]
    Malformed,
    /// Another scheme, or http to a host that is not this machine.
    #[error("must be https, or http to a loopback host")]
    Insecure,
    /// A user name or a password.
    #[error("must not hold a user name or a password")]
    UserInfo,
    /// A query or a fragment.
    #[error("must not hold a query or a fragment")]
    Query,
}

impl BaseUrl {
    /// Reads a base URL; `allow_insecure_http` lets http to any host pass.
    ///
    /// # Errors
    ///
    /// Any [`InvalidBaseUrl`].
    pub fn parse(raw: &str, allow_insecure_http: bool) -> Result<Self, InvalidBaseUrl> {
        let visible = raw.bytes().all(|byte| byte.is_ascii_graphic()) && raw.contains("://");
        let url = Url::parse(raw).ok().filter(|_| visible).ok_or(InvalidBaseUrl::Malformed)?;
        match url.scheme() {
            "https" => {}
            "http" if allow_insecure_http || is_loopback(&url) => {}
            _ => return Err(InvalidBaseUrl::Insecure),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidBaseUrl::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidBaseUrl::Query);
        }
        Ok(Self(url))
    }

    /// Whether what is sent there, secrets included, travels in the clear.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Major version of the API that the path names, such as 25 in `/v25.0`; `None` where it names none.
    #[must_use]
    pub fn version(&self) -> Option<u32> {
        let major = |part: &str| part.strip_prefix('v')?.split_once('.')?.0.parse().ok();
        self.0.path_segments()?.find_map(major)
    }

    /// The URL itself.
    pub(super) fn as_url(&self) -> &Url {
        &self.0
    }

    /// The URL with `path`, which begins with a slash, at its end.
    pub(super) fn endpoint(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let base = self.0.path().trim_end_matches('/');
        url.set_path(&format!("{base}{path}"));
        url
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::host("https://graph.instagram.com", "https://graph.instagram.com/me")]
    #[case::trailing_slash("https://graph.instagram.com/", "https://graph.instagram.com/me")]
    #[case::version("https://graph.instagram.com/v25.0", "https://graph.instagram.com/v25.0/me")]
    #[case::version_slash(
        "https://graph.instagram.com/v25.0/",
        "https://graph.instagram.com/v25.0/me"
    )]
    #[case::localhost("http://localhost:8090", "http://localhost:8090/me")]
    #[case::ipv4("http://127.0.0.1:8090/graph", "http://127.0.0.1:8090/graph/me")]
    #[case::ipv6("http://[::1]:8090", "http://[::1]:8090/me")]
    fn a_path_is_put_at_the_end(#[case] raw: &str, #[case] expected: &str) {
        let base = BaseUrl::parse(raw, false).unwrap();
        assert_eq!(base.endpoint("/me").as_str(), expected);
        assert_eq!(base.is_plain_http(), raw.starts_with("http:"));
    }

    #[rstest]
    #[case::empty("", InvalidBaseUrl::Malformed)]
    #[case::no_scheme("graph.instagram.com", InvalidBaseUrl::Malformed)]
    #[case::no_slashes("https:graph.instagram.com", InvalidBaseUrl::Malformed)]
    #[case::no_host("https://", InvalidBaseUrl::Malformed)]
    #[case::blank("https://graph.instagram.com /", InvalidBaseUrl::Malformed)]
    #[case::plain_http("http://graph.instagram.com", InvalidBaseUrl::Insecure)]
    #[case::private_network("http://10.0.0.1", InvalidBaseUrl::Insecure)]
    #[case::looks_like_loopback("http://localhost.example.com", InvalidBaseUrl::Insecure)]
    #[case::other_scheme("ftp://graph.instagram.com", InvalidBaseUrl::Insecure)]
    #[case::user("https://me@graph.instagram.com", InvalidBaseUrl::UserInfo)]
    #[case::password("https://:pass@graph.instagram.com", InvalidBaseUrl::UserInfo)]
    #[case::query("https://graph.instagram.com/?a=b", InvalidBaseUrl::Query)]
    #[case::fragment("https://graph.instagram.com/#_", InvalidBaseUrl::Query)]
    fn what_would_send_secrets_astray_is_refused(
        #[case] raw: &str,
        #[case] expected: InvalidBaseUrl,
    ) {
        assert_eq!(BaseUrl::parse(raw, false), Err(expected));
    }

    #[rstest]
    #[case::none("https://graph.instagram.com", None)]
    #[case::plain("https://GRAPH.instagram.com/v25.0", Some(25))]
    #[case::slash("https://graph.instagram.com/v9.0/", Some(9))]
    #[case::behind("https://graph.instagram.com/a/v21.0", Some(21))]
    #[case::other("https://graph.instagram.com/version.0/v1", None)]
    fn host_and_version_are_told(#[case] raw: &str, #[case] version: Option<u32>) {
        let base = BaseUrl::parse(raw, false).unwrap();
        assert_eq!((base.host(), base.version()), ("graph.instagram.com", version));
    }

    #[test]
    fn plain_http_elsewhere_is_by_leave_only() {
        let base = BaseUrl::parse("http://sandbox:8090", true).unwrap();
        assert!(base.is_plain_http());
        assert_eq!(BaseUrl::parse("ftp://sandbox", true), Err(InvalidBaseUrl::Insecure));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_never_loses_the_host(raw in "(https?://)?.{0,80}") {
            if let Ok(base) = BaseUrl::parse(&raw, true) {
                let url = base.endpoint("/me");
                prop_assert_eq!(url.host_str(), base.as_url().host_str());
                prop_assert!(url.path().ends_with("/me"));
            }
        }
    }
}
