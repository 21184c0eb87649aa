//! Return URL: the caller's own page, to which a browser goes on after a hosted consent.

use std::str::FromStr;

use url::Url;

use crate::redirect_uri::{is_bare, is_secure};

/// A return URL: absolute, https (or http to a loopback host), without user info and fragment, at most
/// [`MAX_LENGTH`](Self::MAX_LENGTH) bytes. Its query names none of the parameters that are added to it: `code`, `state`,
/// `ticket`, and those that begin with `error`.
///
/// Normalised: `..`, its encoded forms and backslashes are resolved. An encoded slash in its path is refused, since
/// servers differ about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnUrl(Url);

/// The text is not a usable return URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a return URL is an absolute https URL (or http to a loopback host) of at most {} bytes, without user info, \
     fragment, an encoded slash in its path, and without code, state, ticket and error in its query, such as \
     https://example.com/linked",
    ReturnUrl::MAX_LENGTH
)]
pub struct InvalidReturnUrl;

impl ReturnUrl {
    /// Maximum number of bytes.
    pub const MAX_LENGTH: usize = 2048;

    /// The URL, normalised.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is `allowed` or lies below it: the same scheme, host and port, and a path that begins with all
    /// segments of the other. Where `allowed` has a query, it is the same query.
    #[must_use]
    pub fn is_below(&self, allowed: &Self) -> bool {
        let (url, allowed) = (&self.0, &allowed.0);
        let same_query = allowed.query().is_none() || allowed.query() == url.query();
        let base = allowed.path().strip_suffix('/').unwrap_or(allowed.path());
        let rest = url.path().strip_prefix(base);
        let within = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        url.origin() == allowed.origin() && same_query && within
    }

    /// The URL with these parameters behind those that it has.
    #[must_use]
    pub fn with<'a>(&self, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        url.into()
    }
}

impl FromStr for ReturnUrl {
    type Err = InvalidReturnUrl;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let plain = raw.contains("://") && raw.bytes().all(|byte| byte.is_ascii_graphic());
        let url = Url::parse(raw).ok().filter(|_| plain).ok_or(InvalidReturnUrl)?;
        let short = raw.len().max(url.as_str().len()) <= Self::MAX_LENGTH;
        let path = url.path().to_ascii_lowercase();
        let clear = !path.contains("%2f") && !path.contains("%5c");
        let added = url.query_pairs().any(|(name, _)| is_added(&name));
        let valid = short && clear && !added && is_secure(&url) && is_bare(&url);
        if valid { Ok(Self(url)) } else { Err(InvalidReturnUrl) }
    }
}

/// Whether a parameter of this name is added on the way back.
fn is_added(name: &str) -> bool {
    matches!(name, "code" | "state" | "ticket") || name.starts_with("error")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn url(raw: &str) -> ReturnUrl {
        raw.parse().unwrap()
    }

    #[rstest]
    #[case::itself("https://example.com/app", true)]
    #[case::with_a_slash("https://example.com/app/", true)]
    #[case::a_page_of_it("https://example.com/app/linked?a=b", true)]
    #[case::another_spelling("https://EXAMPLE.com:443/x/../app/linked", true)]
    #[case::a_longer_name("https://example.com/apple", false)]
    #[case::above("https://example.com/", false)]
    #[case::dots("https://example.com/app/../admin", false)]
    #[case::encoded_dots("https://example.com/app/%2e%2E/admin", false)]
    #[case::backslashes("https://example.com/app\\..\\admin", false)]
    #[case::another_host("https://example.com.evil.test/app", false)]
    #[case::another_port("https://example.com:444/app", false)]
    #[case::another_scheme("http://localhost/app", false)]
    fn below_an_allowed_one_are_its_own_pages(#[case] raw: &str, #[case] expected: bool) {
        assert_eq!(url(raw).is_below(&url("https://example.com/app")), expected);
        assert_eq!(url(raw).is_below(&url("https://example.com/app/")), expected);
    }

    #[test]
    fn a_whole_host_can_be_allowed() {
        for page in ["https://example.com", "https://example.com/", "https://example.com/a/b"] {
            assert!(url(page).is_below(&url("https://example.com")), "{page}");
        }
    }

    #[test]
    fn an_allowed_query_is_the_only_one() {
        let allowed = url("https://example.com/app?tenant=7");
        assert!(url("https://example.com/app?tenant=7").is_below(&allowed));
        assert!(!url("https://example.com/app?tenant=8").is_below(&allowed));
    }

    #[test]
    fn parameters_come_behind_those_that_are_there() {
        let with = |raw| url(raw).with([("state", "a b&c"), ("ticket", "t")]);
        assert_eq!(with("https://example.com"), "https://example.com/?state=a+b%26c&ticket=t");
        assert_eq!(
            with("https://example.com/app?tenant=7"),
            "https://example.com/app?tenant=7&state=a+b%26c&ticket=t"
        );
    }

    #[test]
    fn what_would_lead_or_tell_something_else_is_refused() {
        for raw in [
            "",
            "/linked",
            "https:example.com",
            "http://example.com/",
            "javascript://example.com/%0aalert(1)",
            "https://user@example.com/",
            "https://example.com/#a",
            "https://exa mple.com/",
            "https://example.com/app/..%2fadmin",
            "https://example.com/app/..%5Cadmin",
            "https://example.com/?code=1",
            "https://example.com/?a=b&st%61te=1",
            "https://example.com/?ticket",
            "https://example.com/?error_reason=x",
        ] {
            assert_eq!(raw.parse::<ReturnUrl>(), Err(InvalidReturnUrl), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn a_url_reads_back_from_its_normal_form(rest in "[ -~]{0,60}") {
            if let Ok(url) = format!("https://example.com/app/{rest}").parse::<ReturnUrl>() {
                prop_assert_eq!(url.as_str().parse::<ReturnUrl>(), Ok(url.clone()));
                let climbs = !url.0.path().starts_with("/app/");
                let allowed = "https://example.com/app".parse().unwrap();
                prop_assert_eq!(url.is_below(&allowed), !climbs || url.0.path() == "/app");
            }
        }
    }
}
