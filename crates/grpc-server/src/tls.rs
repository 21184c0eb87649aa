//! TLS for the connections: from PEM to what a handshake needs.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, RootCertStore, ServerConfig};
use time::OffsetDateTime;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Parts of which TLS is made, in PEM.
pub struct TlsPem<'a> {
    /// The server's certificate, followed by those that lead to its authority.
    pub certificate: &'a [u8],
    /// The certificate's private key: PKCS#8, PKCS#1 or SEC1.
    pub key: &'a [u8],
    /// The authorities of clients' certificates. With `None` clients are not asked for one.
    pub client_ca: Option<&'a [u8]>,
}

/// TLS settings: the server's own certificate, and the authorities that it trusts for its clients.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    certificate_expire_time: Option<OffsetDateTime>,
    client_ca_expire_time: Option<OffsetDateTime>,
}

/// Gives the TLS settings of the next connection.
pub type CurrentTls = Arc<dyn Fn() -> Tls + Send + Sync>;

/// A part of [`TlsPem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPart {
    /// [`TlsPem::certificate`].
    Certificate,
    /// [`TlsPem::key`].
    Key,
    /// [`TlsPem::client_ca`].
    ClientCa,
}

/// TLS cannot be made of this. The text goes on after "which"; it repeats nothing of the PEM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct InvalidTls {
    /// The part that is wrong.
    pub part: TlsPart,
    /// Problem of that part.
    pub problem: TlsProblem,
}

/// Problem of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    /// No bytes.
    #[error("is empty")]
    Empty,
    /// No certificate among whatever is there.
    #[error("holds no certificate: PEM with BEGIN CERTIFICATE is needed")]
    NoCertificate,
    /// No key among whatever is there.
    #[error("holds no private key: PEM with BEGIN PRIVATE KEY is needed, and no password on it")]
    NoKey,
    /// PEM that is cut off, or no base64.
    #[error("holds PEM that is cut off or damaged")]
    DamagedPem,
    /// PEM around something else than a certificate of version 3.
    #[error("holds a certificate that cannot be read: X.509 version 3 is needed")]
    UnreadableCertificate,
    /// A key of another kind, or none.
    #[error(
        "holds a private key that cannot be used: RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, or Ed25519 is needed"
    )]
    UnusableKey,
    /// The key belongs to another certificate.
    #[error("holds the private key of another certificate")]
    OtherKey,
}

impl Tls {
    /// Reads certificate, key and authorities, and sees to it that they fit.
    ///
    /// TLS 1.2 and 1.3, for HTTP/2 only. A client may come without a certificate; one that it shows must be good.
    /// Clients are told the authorities, and many do not show a certificate of another one.
    /// No session is resumed: certificates are judged with each connection.
    ///
    /// # Errors
    ///
    /// [`InvalidTls`] names the first part that is wrong.
    pub fn from_pem(pem: &TlsPem<'_>) -> Result<Self, InvalidTls> {
        let builder = ServerConfig::builder();
        let provider = builder.crypto_provider();
        let certified = certified(pem, provider)?;
        let clients = clients(pem, provider)?;
        let resolver = Arc::new(SingleCertAndKey::from(certified));
        let mut config = builder.with_client_cert_verifier(clients).with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            config: Arc::new(config),
            certificate_expire_time: first_expiry(pem.certificate),
            client_ca_expire_time: pem.client_ca.and_then(first_expiry),
        })
    }

    /// Moment at which the first certificate of this part expires; `None` for the key, for a part that there is not,
    /// and where no certificate says so.
    #[must_use]
    pub fn expire_time(&self, part: TlsPart) -> Option<OffsetDateTime> {
        match part {
            TlsPart::Certificate => self.certificate_expire_time,
            TlsPart::Key => None,
            TlsPart::ClientCa => self.client_ca_expire_time,
        }
    }

    /// Acceptor that makes handshakes with clients.
    pub(crate) fn acceptor(self) -> TlsAcceptor {
        self.config.into()
    }
}

impl TlsProblem {
    fn of(self, part: TlsPart) -> InvalidTls {
        InvalidTls { part, problem: self }
    }
}

/// The certificate with its key.
fn certified(pem: &TlsPem<'_>, provider: &CryptoProvider) -> Result<CertifiedKey, InvalidTls> {
    let chain =
        certificates(pem.certificate).map_err(|problem| problem.of(TlsPart::Certificate))?;
    let key = private_key(pem.key).and_then(|key| {
        let loaded = provider.key_provider.load_private_key(key);
        loaded.map_err(|_| TlsProblem::UnusableKey)
    });
    let certified = CertifiedKey::new(chain, key.map_err(|problem| problem.of(TlsPart::Key))?);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(TlsProblem::OtherKey.of(TlsPart::Key)),
        Err(_) => Err(TlsProblem::UnreadableCertificate.of(TlsPart::Certificate)),
    }
}

/// Verifier of clients' certificates.
fn clients(
    pem: &TlsPem<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, InvalidTls> {
    let Some(authorities) = pem.client_ca else { return Ok(Arc::new(NoClientAuth)) };
    let refuse = |problem: TlsProblem| problem.of(TlsPart::ClientCa);
    let mut roots = RootCertStore::empty();
    for authority in certificates(authorities).map_err(refuse)? {
        let added = roots.add(authority);
        added.map_err(|_| refuse(TlsProblem::UnreadableCertificate))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
        .allow_unauthenticated();
    verifier.build().map_err(|_| refuse(TlsProblem::NoCertificate))
}

/// All certificates, one at least.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|_| TlsProblem::DamagedPem)?;
    if found.is_empty() { Err(missing(pem, TlsProblem::NoCertificate)) } else { Ok(found) }
}

/// The first moment at which one of the certificates expires.
fn first_expiry(pem: &[u8]) -> Option<OffsetDateTime> {
    let certificates = certificates(pem).ok()?;
    let end = |certificate: &CertificateDer<'_>| {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        Some(certificate.validity().not_after.to_datetime())
    };
    certificates.iter().filter_map(end).min()
}

/// The first private key.
fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsProblem> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => missing(pem, TlsProblem::NoKey),
        _ => TlsProblem::DamagedPem,
    })
}

fn missing(pem: &[u8], problem: TlsProblem) -> TlsProblem {
    if pem.is_empty() { TlsProblem::Empty } else { problem }
}

#[cfg(test)]
mod tests {
    use ig_test_support::certificates::{Authority, Issued, Name};
    use rstest::rstest;

    use super::*;

    fn issued() -> Issued {
        Authority::new().issue(&[Name::Dns("localhost")])
    }

    fn refused(certificate: &str, key: &str, client_ca: Option<&str>) -> (TlsPart, TlsProblem) {
        let (certificate, key) = (certificate.as_bytes(), key.as_bytes());
        let pem = TlsPem { certificate, key, client_ca: client_ca.map(str::as_bytes) };
        let InvalidTls { part, problem } = Tls::from_pem(&pem).unwrap_err();
        (part, problem)
    }

    /// PEM of that kind around bytes that mean nothing.
    fn nonsense(kind: &str) -> String {
        format!("-----BEGIN {kind}-----\ncGxhbnRlZA==\n-----END {kind}-----\n")
    }

    #[rstest]
    #[case::empty("", TlsProblem::Empty)]
    #[case::text("certificate", TlsProblem::NoCertificate)]
    #[case::a_key(&issued().key, TlsProblem::NoCertificate)]
    #[case::cut_off("-----BEGIN CERTIFICATE-----\ncGxhbnRlZA==\n", TlsProblem::DamagedPem)]
    #[case::no_base64(
        "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----",
        TlsProblem::DamagedPem
    )]
    #[case::nonsense(&nonsense("CERTIFICATE"), TlsProblem::UnreadableCertificate)]
    fn a_certificate_that_will_not_do_is_told(#[case] wrong: &str, #[case] problem: TlsProblem) {
        let Issued { pem, key, .. } = issued();
        assert_eq!(refused(wrong, &key, None), (TlsPart::Certificate, problem));
        assert_eq!(refused(&pem, &key, Some(wrong)), (TlsPart::ClientCa, problem));
    }

    #[rstest]
    #[case::empty("", TlsProblem::Empty)]
    #[case::text("key", TlsProblem::NoKey)]
    #[case::a_certificate(&issued().pem, TlsProblem::NoKey)]
    #[case::with_a_password(&nonsense("ENCRYPTED PRIVATE KEY"), TlsProblem::NoKey)]
    #[case::cut_off("-----BEGIN PRIVATE KEY-----\ncGxhbnRlZA==\n", TlsProblem::DamagedPem)]
    #[case::nonsense(&nonsense("PRIVATE KEY"), TlsProblem::UnusableKey)]
    #[case::of_another_certificate(&issued().key, TlsProblem::OtherKey)]
    fn a_key_that_will_not_do_is_told(#[case] wrong: &str, #[case] problem: TlsProblem) {
        assert_eq!(refused(&issued().pem, wrong, None), (TlsPart::Key, problem));
    }

    #[test]
    fn the_first_expiry_of_each_file_is_known() {
        let authority = Authority::new();
        let former = authority.issue_expired(&[Name::Dns("localhost")]);
        let Issued { pem, key, .. } = authority.issue(&[Name::Dns("localhost")]);
        let chain = format!("{pem}{}", former.pem);
        let (certificate, key) = (chain.as_bytes(), key.as_bytes());
        let client_ca = Some(authority.pem.as_bytes());
        let tls = Tls::from_pem(&TlsPem { certificate, key, client_ca }).unwrap();
        let year = |part| tls.expire_time(part).map(OffsetDateTime::year);
        assert_eq!(year(TlsPart::Certificate), Some(2002));
        assert_eq!((year(TlsPart::ClientCa), year(TlsPart::Key)), (Some(4096), None));
        let without = Tls::from_pem(&TlsPem { certificate, key, client_ca: None }).unwrap();
        assert_eq!(without.expire_time(TlsPart::ClientCa), None);
    }

    #[test]
    fn neither_errors_nor_debug_show_what_was_read() {
        let Issued { pem, key, .. } = issued();
        let wrong = "-----BEGIN planted-----\nplanted";
        let pems = [(wrong, key.as_str()), (pem.as_str(), wrong)];
        for (certificate, key) in pems {
            let pem = TlsPem {
                certificate: certificate.as_bytes(),
                key: key.as_bytes(),
                client_ca: None,
            };
            let error = Tls::from_pem(&pem).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
        }
        let good = TlsPem { certificate: pem.as_bytes(), key: key.as_bytes(), client_ca: None };
        let shown = format!("{:?}", Tls::from_pem(&good).unwrap());
        let body: Vec<_> = key.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(body.iter().all(|line| !shown.contains(line)), "{shown}");
    }
}
