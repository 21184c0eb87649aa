//! The proxy through which Instagram is reached.

use std::fmt;

use reqwest::{Proxy, Url};

/// An http or https proxy; `Debug` hides its user name and its password.
#[derive(Clone)]
pub struct ProxyUrl(Url);

/// Reason for which a text is no [`ProxyUrl`].
///
/// The message continues the name of the setting; the text is not repeated, for it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxyUrl {
    /// Relative, malformed, or with blanks.
    #[error(
        "is not an absolute URL; characters such as @, / and # in a password must be percent-encoded"
    )]
    Malformed,
    /// Another scheme.
    #[error("must be http or https")]
    Scheme,
    /// A path, a query or a fragment.
    #[error("must hold nothing behind host and port")]
    Path,
}

impl ProxyUrl {
    /// Reads a proxy's URL.
    ///
    /// # Errors
    ///
    /// Any [`InvalidProxyUrl`].
    pub fn parse(raw: &str) -> Result<Self, InvalidProxyUrl> {
        let visible = raw.bytes().all(|byte| byte.is_ascii_graphic()) && raw.contains("://");
        let url = Url::parse(raw).ok().filter(|_| visible).ok_or(InvalidProxyUrl::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidProxyUrl::Scheme);
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidProxyUrl::Path);
        }
        Ok(Self(url))
    }

    /// Host and port, for logs.
    pub(super) fn host(&self) -> String {
        host(&self.0)
    }

    /// Setting that sends every request through it, whatever its host.
    pub(super) fn for_all(&self) -> reqwest::Result<Proxy> {
        Proxy::all(self.0.clone())
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ProxyUrl").field(&self.host()).finish()
    }
}

/// Host and port of a URL, which are no secret.
pub(super) fn host(url: &Url) -> String {
    let port = url.port_or_known_default().map(|port| format!(":{port}"));
    format!("{}{}", url.host_str().unwrap_or_default(), port.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("http://proxy.internal:3128", "proxy.internal:3128")]
    #[case::tls("https://proxy.internal", "proxy.internal:443")]
    #[case::usual_port("http://proxy.internal/", "proxy.internal:80")]
    #[case::ipv6("http://[::1]:3128", "[::1]:3128")]
    #[case::credentials("http://user:pass%40word@proxy.internal:3128", "proxy.internal:3128")]
    fn host_and_port_are_shown_and_nothing_else(#[case] raw: &str, #[case] expected: &str) {
        let proxy = ProxyUrl::parse(raw).unwrap();
        assert_eq!(proxy.host(), expected);
        assert_eq!(format!("{proxy:?}"), format!("ProxyUrl({expected:?})"));
        proxy.for_all().unwrap();
    }

    #[rstest]
    #[case::empty("", InvalidProxyUrl::Malformed)]
    #[case::no_scheme("proxy.internal:3128", InvalidProxyUrl::Malformed)]
    #[case::blank("http://proxy internal", InvalidProxyUrl::Malformed)]
    #[case::hash_in_the_password(
        "http://user:pass#word@proxy.internal",
        InvalidProxyUrl::Malformed
    )]
    #[case::slash_in_the_password(
        "http://user:pass/word@proxy.internal",
        InvalidProxyUrl::Malformed
    )]
    #[case::socks("socks5://proxy.internal:1080", InvalidProxyUrl::Scheme)]
    #[case::path("http://proxy.internal/path", InvalidProxyUrl::Path)]
    #[case::query("http://proxy.internal/?a=b", InvalidProxyUrl::Path)]
    #[case::fragment("http://proxy.internal/#a", InvalidProxyUrl::Path)]
    fn what_is_no_proxy_is_refused(#[case] raw: &str, #[case] expected: InvalidProxyUrl) {
        assert_eq!(ProxyUrl::parse(raw).unwrap_err(), expected);
    }

    proptest! {
        #[test]
        fn what_parses_can_be_used(raw in "(https?://)?.{0,80}") {
            if let Ok(proxy) = ProxyUrl::parse(&raw) {
                prop_assert!(proxy.for_all().is_ok());
            }
        }
    }
}
