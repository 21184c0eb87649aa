//! Signatures of Meta's: HMAC-SHA256 under the app secret.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// Number of bytes of a signature.
const MAC_BYTES: usize = 32;

/// The app secrets that are accepted, the newest first. `Debug` shows their number only.
pub struct AppSecrets(Vec<SecretString>);

impl AppSecrets {
    /// These secrets; none refuses everything.
    #[must_use]
    pub fn new(secrets: Vec<SecretString>) -> Self {
        Self(secrets)
    }

    /// Index of the secret under which `mac` signs `message`; `None` where none does. Every secret is tried, in
    /// constant time each, so that the time tells nothing.
    pub(crate) fn matching(&self, message: &[u8], mac: &[u8]) -> Option<usize> {
        let verified: Vec<bool> =
            self.0.iter().map(|secret| verifies(secret, message, mac)).collect();
        verified.into_iter().position(|verified| verified)
    }
}

impl fmt::Debug for AppSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AppSecrets({})", self.0.len())
    }
}

fn verifies(secret: &SecretString, message: &[u8], mac: &[u8]) -> bool {
    let keyed = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes());
    keyed.is_ok_and(|keyed| keyed.chain_update(message).verify_slice(mac).is_ok())
}

/// The signature in a header `sha256=<64 hexadecimal digits>`; `None` where it has another form.
pub(crate) fn of_header(header: &[u8]) -> Option<[u8; MAC_BYTES]> {
    let digits = header.strip_prefix(b"sha256=")?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| byte(*high, *low)).collect();
    bytes?.try_into().ok()
}

fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| digit.try_into().ok());
    let (high, low): (u8, u8) = (digit(high)?, digit(low)?);
    Some(high << 4 | low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Source: <https://www.rfc-editor.org/rfc/rfc4231>, test case 2.
    const SIGNED: (&str, &str, &str) = (
        "Jefe",
        "what do ya want for nothing?",
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );

    fn secrets(secrets: &[&str]) -> AppSecrets {
        AppSecrets::new(secrets.iter().copied().map(SecretString::from).collect())
    }

    #[test]
    fn the_secret_that_signed_is_told_wherever_it_stands() {
        let (secret, message, header) = SIGNED;
        let mac = of_header(header.as_bytes()).unwrap();
        let matching = |list: &[&str]| secrets(list).matching(message.as_bytes(), &mac);
        assert_eq!(matching(&[secret, "other"]), Some(0));
        assert_eq!(matching(&["other", "another", secret]), Some(2));
        assert_eq!(matching(&["other"]), None);
        assert_eq!(matching(&[]), None);
    }

    #[test]
    fn another_message_or_part_of_a_signature_is_not_signed() {
        let (secret, message, header) = SIGNED;
        let mac = of_header(header.as_bytes()).unwrap();
        let secrets = secrets(&[secret]);
        assert_eq!(secrets.matching(b"what do ya want for nothing!", &mac), None);
        assert_eq!(secrets.matching(message.as_bytes(), &mac[..31]), None);
        assert_eq!(secrets.matching(message.as_bytes(), b""), None);
    }

    #[test]
    fn a_header_of_another_form_is_no_signature() {
        let digits = "a".repeat(64);
        assert!(of_header(format!("sha256={}", digits.to_uppercase()).as_bytes()).is_some());
        for header in [
            String::new(),
            digits.clone(),
            format!("sha1={digits}"),
            format!("SHA256={digits}"),
            format!("sha256={digits}a"),
            format!("sha256={digits}aa"),
            format!("sha256= {}", "a".repeat(63)),
            format!("sha256={}+a", "a".repeat(62)),
            format!("sha256={}é", "a".repeat(62)),
        ] {
            assert_eq!(of_header(header.as_bytes()), None, "{header:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", secrets(&["planted"])), "AppSecrets(1)");
    }

    proptest! {
        #[test]
        fn reading_a_header_never_panics(header in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = of_header(&header);
            let _ = of_header(&[b"sha256=", &header[..]].concat());
        }
    }
}
