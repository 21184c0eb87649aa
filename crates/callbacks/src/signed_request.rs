//! Requests that Meta signs in a field of a form: `signed_request=<signature>.<payload>`, both base64url.
//!
//! Source: <https://developers.facebook.com/docs/reference/login/signed-request>.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ig_domain::SignedRequest;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use url::form_urlencoded;

use crate::{Shared, body};

/// Maximum size of a form, in bytes. Ours.
const MAX_FORM: usize = 16 * 1024;

/// Maximum length of a signed request, in bytes. Ours: Meta's have some hundreds.
const MAX_LENGTH: usize = 8 * 1024;

const FIELD: &str = "signed_request";

const ALGORITHM: &str = "HMAC-SHA256";

/// Meta sends no padding, and other senders may.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the request of a form, once an accepted secret has signed it.
///
/// # Errors
///
/// The answer to a body that cannot be read, and to what is malformed or badly signed.
pub(crate) async fn read(shared: &Shared, form: Body) -> Result<SignedRequest, Response> {
    let form = body::read(form, MAX_FORM, &shared.memory).await;
    let form = form.map_err(body::BodyError::into_response)?;
    verified(shared, form.bytes()).ok_or_else(|| StatusCode::BAD_REQUEST.into_response())
}

fn verified(shared: &Shared, form: &[u8]) -> Option<SignedRequest> {
    let text = only_field(form)?;
    let signed = Signed::parse(&text)?;
    let secret = shared.callbacks.secrets.matching(signed.payload.as_bytes(), &signed.signature);
    shared.callbacks.meters.signed_requests.count(secret.into());
    secret?;
    signed.request()
}

/// The field, where the form has it once.
pub(crate) fn only_field(form: &[u8]) -> Option<String> {
    let mut values = form_urlencoded::parse(form).filter(|(name, _)| name == FIELD);
    let (_, value) = values.next()?;
    let is_one = values.next().is_none() && value.len() <= MAX_LENGTH;
    is_one.then(|| value.into_owned())
}

/// The two parts of a signed request. The signature is that of the payload's encoded text.
pub(crate) struct Signed<'a> {
    signature: Vec<u8>,
    payload: &'a str,
}

/// The payload that we read of. Whatever else it says, also when it expires, is left.
#[derive(Deserialize)]
struct Payload<'a> {
    algorithm: String,
    #[serde(borrow)]
    user_id: &'a RawValue,
    #[serde(borrow)]
    issued_at: &'a RawValue,
}

impl<'a> Signed<'a> {
    /// The parts of a text that has both.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (signature, payload) = text.split_once('.')?;
        Some(Self { signature: BASE64URL.decode(signature).ok()?, payload })
    }

    /// The request, whose signature is to have been verified.
    pub(crate) fn request(&self) -> Option<SignedRequest> {
        let payload = BASE64URL.decode(self.payload).ok()?;
        let payload: Payload<'_> = serde_json::from_slice(&payload).ok()?;
        if !payload.algorithm.eq_ignore_ascii_case(ALGORITHM) {
            return None;
        }
        let issue_time = text_or_number(payload.issued_at)?.parse().ok()?;
        Some(SignedRequest {
            user: text_or_number(payload.user_id)?.parse().ok()?,
            issue_time: OffsetDateTime::from_unix_timestamp(issue_time).ok()?,
        })
    }
}

/// A text, or a number as it is written: ids are beyond what a float holds.
fn text_or_number(value: &RawValue) -> Option<String> {
    let raw = value.get();
    if raw.starts_with('"') { serde_json::from_str(raw).ok() } else { Some(raw.to_owned()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use proptest::prelude::*;
    use rstest::rstest;
    use sha2::Sha256;
    use time::macros::datetime;

    use super::*;

    const ISSUED: OffsetDateTime = datetime!(2026-11-29 08:00:00 UTC);

    const PAYLOAD: &str = r#"{"algorithm":"HMAC-SHA256","expires":1,"issued_at":1795939200,"user_id":"17841400000000001"}"#;

    /// A signed request with this payload, under `secret`.
    pub(crate) fn signed(payload: &str, secret: &str) -> String {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(payload);
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let mac = mac.chain_update(&payload).finalize().into_bytes();
        format!("{}.{payload}", BASE64_URL_SAFE_NO_PAD.encode(mac))
    }

    fn request(text: &str) -> Option<SignedRequest> {
        Signed::parse(text)?.request()
    }

    fn payload(text: &str) -> Option<SignedRequest> {
        request(&signed(text, "secret"))
    }

    #[test]
    fn a_request_names_its_user_and_moment() {
        let SignedRequest { user, issue_time } = payload(PAYLOAD).unwrap();
        assert_eq!((user.as_str(), issue_time), ("17841400000000001", ISSUED));
    }

    #[rstest]
    #[case::number(
        r#"{"algorithm":"hmac-sha256","issued_at":"1795939200","user_id":17841400000000001}"#
    )]
    #[case::escapes(
        r#"{"algorithm":"HMAC-SHA256","issued_at":1795939200,"user_id":"1784140000000000\u0031"}"#
    )]
    fn a_request_may_write_them_otherwise(#[case] text: &str) {
        assert_eq!(payload(text), payload(PAYLOAD));
        assert!(payload(text).is_some());
    }

    #[test]
    fn padding_may_be_there() {
        let text = signed(PAYLOAD, "secret");
        let (signature, payload) = text.split_once('.').unwrap();
        let padded = payload.len().next_multiple_of(4) - payload.len();
        let padded = format!("{signature}=.{payload}{}", "=".repeat(padded));
        assert_eq!(request(&padded), request(&text));
    }

    #[rstest]
    #[case::algorithm(r#"{"algorithm":"none","issued_at":1795939200,"user_id":"1"}"#)]
    #[case::no_algorithm(r#"{"issued_at":1795939200,"user_id":"1"}"#)]
    #[case::no_time(r#"{"algorithm":"HMAC-SHA256","user_id":"1"}"#)]
    #[case::no_user(r#"{"algorithm":"HMAC-SHA256","issued_at":1795939200}"#)]
    #[case::a_null(r#"{"algorithm":"HMAC-SHA256","issued_at":1795939200,"user_id":null}"#)]
    #[case::a_float(r#"{"algorithm":"HMAC-SHA256","issued_at":1795939200,"user_id":1e3}"#)]
    #[case::a_fraction(r#"{"algorithm":"HMAC-SHA256","issued_at":1.5,"user_id":"1"}"#)]
    #[case::beyond_calendars(
        r#"{"algorithm":"HMAC-SHA256","issued_at":99999999999999,"user_id":"1"}"#
    )]
    #[case::two_users(
        r#"{"algorithm":"HMAC-SHA256","issued_at":1795939200,"user_id":"1","user_id":"2"}"#
    )]
    #[case::a_list("[]")]
    #[case::no_json("{")]
    #[case::nothing("")]
    fn a_payload_of_another_form_is_no_request(#[case] text: &str) {
        assert_eq!(payload(text), None);
    }

    #[test]
    fn a_form_has_the_field_once() {
        assert_eq!(only_field(b"a=b&signed_request=c.d").as_deref(), Some("c.d"));
        let longest = format!("signed_request={}", "a".repeat(MAX_LENGTH));
        assert!(only_field(longest.as_bytes()).is_some());
        for form in ["", "signed_request", "a=b", "signed_request=a&signed_request=a"] {
            let found = only_field(form.as_bytes());
            assert!(found.is_none_or(|text| Signed::parse(&text).is_none()), "{form:?}");
        }
        assert_eq!(only_field(format!("{longest}a").as_bytes()), None);
    }

    proptest! {
        #[test]
        fn reading_never_panics(form in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,80}") {
            let field = only_field(&[b"signed_request=", &form[..]].concat());
            let _ = field.as_deref().and_then(request);
            let _ = request(&text);
            let _ = payload(&text);
        }
    }
}
