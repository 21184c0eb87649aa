//! Public URL: the address below which browsers and Instagram reach this service.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::redirect_uri::{is_bare, is_secure};
use crate::{ConfirmationCode, RedirectUri};

/// A public URL: https (or http to a loopback host), without user info, query and fragment. Every URL of ours that
/// leaves the service lies below it.
///
/// Normalised, and kept without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    base: String,
    oauth_callback: RedirectUri,
}

/// The text is not a usable public URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a public URL is an absolute https URL (or http to a loopback host) of at most {} bytes, without \
     user info, query and fragment, such as https://instagram.example.com",
    PublicUrl::MAX_LENGTH
)]
pub struct InvalidPublicUrl;

impl PublicUrl {
    /// Maximum number of bytes.
    pub const MAX_LENGTH: usize = 1024;

    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.base
    }

    /// The redirect URI of hosted consents.
    #[must_use]
    pub fn oauth_callback(&self) -> &RedirectUri {
        &self.oauth_callback
    }

    /// The page that tells the state of a deletion.
    #[must_use]
    pub fn deletion_status(&self, code: &ConfirmationCode) -> String {
        format!("{}/data-deletion/{code}", self.base)
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(raw).ok().filter(|_| raw.contains("://")).ok_or(InvalidPublicUrl)?;
        let base = url.as_str().strip_suffix('/').unwrap_or(url.as_str());
        let short = raw.len().max(base.len()) <= Self::MAX_LENGTH;
        if !(short && is_secure(&url) && is_bare(&url) && url.query().is_none()) {
            return Err(InvalidPublicUrl);
        }
        let oauth_callback = format!("{base}/oauth/callback").parse();
        let oauth_callback = oauth_callback.map_err(|_| InvalidPublicUrl)?;
        Ok(Self { base: base.to_owned(), oauth_callback })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.base)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::bare("https://example.com", "https://example.com")]
    #[case::slash("https://EXAMPLE.com:443/", "https://example.com")]
    #[case::path("https://example.com/instagram/", "https://example.com/instagram")]
    #[case::loopback("http://127.0.0.1:8080", "http://127.0.0.1:8080")]
    fn every_url_of_ours_lies_below_it(#[case] raw: &str, #[case] base: &str) {
        let url: PublicUrl = raw.parse().unwrap();
        assert_eq!(url.as_str(), base);
        assert_eq!(url.oauth_callback().as_str(), format!("{base}/oauth/callback"));
        let code = "0123456789abcdef0123456789abcdef";
        let status = url.deletion_status(&code.parse().unwrap());
        assert_eq!(status, format!("{base}/data-deletion/{code}"));
    }

    #[test]
    fn what_is_no_such_address_is_refused() {
        let long = format!("https://example.com/{}", "a".repeat(1010));
        for raw in [
            "",
            "example.com",
            "https:example.com",
            "http://example.com",
            "https://user@example.com",
            "https://example.com/?a=b",
            "https://example.com/?",
            "https://example.com/#a",
            "ftp://example.com",
            &long,
        ] {
            assert_eq!(raw.parse::<PublicUrl>(), Err(InvalidPublicUrl), "{raw:?}");
        }
    }
}
