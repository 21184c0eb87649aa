//! The bearer token among a call's metadata.

use http::HeaderMap;
use http::header::{AUTHORIZATION, Entry};
use ig_domain::BearerToken;
use ig_domain::ports::NotAuthenticated;

/// Takes the token out of the metadata, so that nobody behind can show it. `None` where nothing is sent.
///
/// # Errors
///
/// [`NotAuthenticated::Malformed`] when what is sent is not one `Bearer` token.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>.
pub(super) fn take(headers: &mut HeaderMap) -> Result<Option<BearerToken>, NotAuthenticated> {
    let Entry::Occupied(sent) = headers.entry(AUTHORIZATION) else { return Ok(None) };
    let (_, mut values) = sent.remove_entry_mult();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(NotAuthenticated::Malformed);
    };
    let parsed = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        let token = token.trim_matches(' ').parse().ok()?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    parsed.map(Some).ok_or(NotAuthenticated::Malformed)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn taken(sent: &[&[u8]]) -> (Result<Option<String>, NotAuthenticated>, HeaderMap) {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        let token = take(&mut headers).map(|token| token.map(|token| token.expose().to_owned()));
        (token, headers)
    }

    #[rstest]
    #[case::usual(&[b"Bearer igacc_a-_~+/=".as_slice()], Ok(Some("igacc_a-_~+/=")))]
    #[case::scheme_in_lower_case(&[b"bearer a".as_slice()], Ok(Some("a")))]
    #[case::several_blanks(&[b"BEARER   a ".as_slice()], Ok(Some("a")))]
    #[case::nothing(&[], Ok(None))]
    #[case::empty(&[b"".as_slice()], Err(NotAuthenticated::Malformed))]
    #[case::no_token(&[b"Bearer ".as_slice()], Err(NotAuthenticated::Malformed))]
    #[case::no_scheme(&[b"igacc_a".as_slice()], Err(NotAuthenticated::Malformed))]
    #[case::another_scheme(&[b"Basic a".as_slice()], Err(NotAuthenticated::Malformed))]
    #[case::two_words(&[b"Bearer a b".as_slice()], Err(NotAuthenticated::Malformed))]
    #[case::a_tab(&[b"Bearer\ta".as_slice()], Err(NotAuthenticated::Malformed))]
    #[case::not_ascii(&["Bearer é".as_bytes()], Err(NotAuthenticated::Malformed))]
    #[case::twice(&[b"Bearer a".as_slice(), b"Bearer a"], Err(NotAuthenticated::Malformed))]
    fn one_bearer_token_is_taken(
        #[case] sent: &[&[u8]],
        #[case] expected: Result<Option<&str>, NotAuthenticated>,
    ) {
        let (token, left) = taken(sent);
        assert_eq!(token, expected.map(|token| token.map(str::to_owned)));
        assert!(left.is_empty(), "nothing of it goes on");
    }
}
