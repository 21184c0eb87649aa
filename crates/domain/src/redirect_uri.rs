//! Redirect URI: the address to which Instagram sends the browser back.

use std::str::FromStr;

use url::{Host, Url};

/// A redirect URI: absolute, https (or http to a loopback host), without fragment and user info, at most
/// [`MAX_LENGTH`](Self::MAX_LENGTH) bytes.
///
/// Kept to the letter, never normalised: Instagram compares it character by character.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RedirectUri(String);

/// The text is not a usable redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a redirect URI is an absolute https URI (or http to a loopback host) of at most {} bytes, \
     without fragment, such as https://example.com/instagram/callback",
    RedirectUri::MAX_LENGTH
)]
pub struct InvalidRedirectUri;

impl RedirectUri {
    /// Maximum number of bytes.
    pub const MAX_LENGTH: usize = 2048;

    /// The text, exactly as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let plain =
            raw.len() <= Self::MAX_LENGTH && raw.bytes().all(|byte| byte.is_ascii_graphic());
        let url = Url::parse(raw).ok().filter(|_| plain).ok_or(InvalidRedirectUri)?;
        let valid = raw.contains("://") && is_secure(&url) && is_bare(&url);
        if valid { Ok(Self(raw.to_owned())) } else { Err(InvalidRedirectUri) }
    }
}

/// Whether it has a host, and what goes there is encrypted or stays on this machine.
pub(crate) fn is_secure(url: &Url) -> bool {
    url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)))
}

/// Whether it has neither fragment nor user info.
pub(crate) fn is_bare(url: &Url) -> bool {
    url.fragment().is_none() && url.username().is_empty() && url.password().is_none()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn https_and_loopback_are_accepted_to_the_letter() {
        for raw in [
            "https://example.com/callback",
            "https://example.com",
            "https://EXAMPLE.com:443/a?b=c",
            "http://localhost:8080/callback",
            "http://127.0.0.1/callback",
            "http://[::1]:9/callback",
        ] {
            assert_eq!(raw.parse::<RedirectUri>().unwrap().as_str(), raw);
        }
    }

    #[test]
    fn what_instagram_or_a_thief_would_trip_over_is_refused() {
        for raw in [
            "",
            "/callback",
            "http://example.com/callback",
            "https://example.com/#_",
            "https://user:password@example.com/",
            "javascript:alert(1)",
            "https:example.com",
            "https://exa mple.com/",
            "http://localhost.example.com/",
        ] {
            assert_eq!(raw.parse::<RedirectUri>(), Err(InvalidRedirectUri), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(raw in ".{0,200}") {
            if let Ok(uri) = raw.parse::<RedirectUri>() {
                prop_assert_eq!(uri.as_str(), raw);
            }
        }
    }
}
