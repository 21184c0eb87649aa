//! Names of a client, from its certificate.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// Maximum number of names of one certificate that count; ours.
const MAX_NAMES: usize = 64;

/// The names of a client's certificate, which was verified in the handshake: its DNS names in lower case, then its
/// URIs as they are; 64 at most.
///
/// Every request of such a client carries them as an extension, and no other request does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerNames(Arc<[String]>);

impl PeerNames {
    /// The names of this certificate; none where it is no certificate. Verifying it is the caller's matter.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Self {
        let certificate = EndEntityCert::try_from(certificate).ok();
        let dns = certificate.iter().flat_map(|one| one.valid_dns_names());
        let uris = certificate.iter().flat_map(|one| one.valid_uri_names());
        Self(
            dns.map(str::to_ascii_lowercase)
                .chain(uris.map(str::to_owned))
                .take(MAX_NAMES)
                .collect(),
        )
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The names, as a slice.
    pub(crate) fn as_slice(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use ig_test_support::certificates::{Authority, Name};
    use rstest::rstest;

    use super::*;

    fn names_of(names: &[Name<'_>]) -> Vec<String> {
        let issued = Authority::new().issue(names);
        PeerNames::of(&issued.der.into()).iter().map(str::to_owned).collect()
    }

    #[rstest]
    #[case::dns(&[Name::Dns("Publisher.Internal")], &["publisher.internal"])]
    #[case::uri(&[Name::Uri("spiffe://Example/Publisher")], &["spiffe://Example/Publisher"])]
    #[case::both(&[Name::Uri("urn:a"), Name::Dns("a"), Name::Dns("b")], &["a", "b", "urn:a"])]
    #[case::neither(&[Name::Ip([127, 0, 0, 1])], &[])]
    #[case::none(&[], &[])]
    fn dns_names_and_uris_are_names_and_nothing_else(
        #[case] in_certificate: &[Name<'_>],
        #[case] expected: &[&str],
    ) {
        assert_eq!(names_of(in_certificate), expected);
    }

    #[test]
    fn names_beyond_the_limit_do_not_count() {
        let many: Vec<_> = (0..100).map(|number| format!("caller-{number}")).collect();
        let names: Vec<_> = many.iter().map(|name| Name::Dns(name)).collect();
        assert_eq!(names_of(&names), many[..MAX_NAMES]);
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        let names = PeerNames::of(&CertificateDer::from(b"planted".as_slice()));
        assert_eq!(names.iter().count(), 0);
    }
}
