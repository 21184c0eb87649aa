//! Signatures of what the sandbox sends: HMAC-SHA256 under the app secret.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The value of the header `X-Hub-Signature-256` over a body.
pub(crate) fn signature_header(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex(&mac(secret, body)))
}

/// A `signed_request`: the signature, a dot, and the payload that was signed as it stands there, both base64url.
/// With `padded` the signature ends in `=`.
pub(crate) fn signed_request(secret: &str, payload: &str, padded: bool) -> String {
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let mac = mac(secret, payload.as_bytes());
    let engine = if padded { &URL_SAFE } else { &URL_SAFE_NO_PAD };
    format!("{}.{payload}", engine.encode(mac))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn mac(secret: &str, message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of every length.
    let keyed = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    keyed
        .map(|keyed| keyed.chain_update(message).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: <https://www.rfc-editor.org/rfc/rfc4231>, test case 2.
    #[test]
    fn a_body_is_signed_as_the_standard_says() {
        let header = signature_header("Jefe", b"what do ya want for nothing?");
        let digits = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(header, format!("sha256={digits}"));
    }

    #[test]
    fn a_signed_request_signs_the_encoded_payload_and_is_padded_where_that_is_wanted() {
        let bare = signed_request("Jefe", "{}", false);
        let (signature, payload) = bare.split_once('.').unwrap();
        assert_eq!(payload, "e30");
        assert_eq!(signature, URL_SAFE_NO_PAD.encode(mac("Jefe", b"e30")));
        assert_eq!(signature.len(), 43);
        assert_eq!(signed_request("Jefe", "{}", true), format!("{signature}=.e30"));
    }
}
