//! The id under which a call is logged and answered.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::Status;
use tonic_types::StatusExt as _;

/// The metadata key.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of an id, in bytes.
const MAX_LENGTH: usize = 128;

/// Makes ids for calls that come without: printable ASCII, at most 128 characters, different each time.
pub type RequestIds = Arc<dyn Fn() -> String + Send + Sync>;

/// The id of one call: 1 to 128 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestIdHeader(HeaderValue);

impl RequestIdHeader {
    /// The caller's id where it sent a sound one, else a new one.
    pub(super) fn of(headers: &HeaderMap, new: &RequestIds) -> Self {
        let given = headers.get(X_REQUEST_ID).filter(|value| sound(value.as_bytes())).cloned();
        let made = || HeaderValue::try_from(new()).ok().filter(|value| sound(value.as_bytes()));
        Self(given.or_else(made).unwrap_or_else(|| HeaderValue::from_static("unknown")))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The status with the id among its details; the transport's own, which have none, stay bare.
    pub(super) fn signed(&self, status: Status) -> Status {
        if status.details().is_empty() {
            return status;
        }
        let mut details = status.get_error_details();
        details.set_request_info(self.as_str(), "");
        let (code, metadata) = (status.code(), status.metadata().clone());
        Status::with_error_details_and_metadata(code, status.message(), details, metadata)
    }

    /// Puts the id into the metadata of a response.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        let mut id = self.0.clone();
        // It never comes again, so HTTP/2 should not make room for it among the headers that it remembers. No other mark
        // says so.
        id.set_sensitive(true);
        headers.insert(X_REQUEST_ID, id);
    }
}

impl fmt::Display for RequestIdHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

fn sound(id: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(|byte| (b' '..=b'~').contains(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn id(given: &[u8]) -> String {
        let made: RequestIds = Arc::new(|| "made".to_owned());
        let mut headers = HeaderMap::new();
        headers.extend(HeaderValue::from_bytes(given).map(|value| (X_REQUEST_ID, value)));
        RequestIdHeader::of(&headers, &made).to_string()
    }

    #[rstest]
    #[case::sound(b"req 7/a", "req 7/a")]
    #[case::longest(&[b'x'; 128], &"x".repeat(128))]
    #[case::too_long(&[b'x'; 129], "made")]
    #[case::empty(b"", "made")]
    #[case::not_ascii("é".as_bytes(), "made")]
    #[case::a_tab(b"a\tb", "made")]
    fn a_sound_id_is_kept_and_any_other_replaced(#[case] given: &[u8], #[case] expected: &str) {
        assert_eq!(id(given), expected);
    }

    #[test]
    fn a_response_carries_the_id_and_no_table_of_headers_keeps_it() {
        let (id, mut headers) = (RequestIdHeader(HeaderValue::from_static("7")), HeaderMap::new());
        id.mark(&mut headers);
        assert_eq!(headers[X_REQUEST_ID], "7");
        assert!(headers[X_REQUEST_ID].is_sensitive());
    }

    proptest! {
        #[test]
        fn whatever_is_sent_the_id_is_short_and_printable(given: Vec<u8>) {
            prop_assert!(sound(id(&given).as_bytes()));
        }
    }
}
