//! Certificates for tests: an authority of their own, and the certificates that it issues.

#![expect(clippy::expect_used, reason = "a test that cannot have its certificate fails")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Number of authorities made so far: each has a name of its own, by which others see that a certificate is not theirs.
static AUTHORITIES: AtomicU64 = AtomicU64::new(0);

/// An authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The authority's certificate, in PEM.
    pub pem: String,
}

/// A certificate and its key.
pub struct Issued {
    /// The certificate, in PEM.
    pub pem: String,
    /// The certificate, in DER.
    pub der: Vec<u8>,
    /// Its private key, PKCS#8 in PEM.
    pub key: String,
}

/// A name that a certificate may have.
#[derive(Clone, Copy)]
pub enum Name<'a> {
    /// A host name.
    Dns(&'a str),
    /// A URI.
    Uri(&'a str),
    /// An address.
    Ip([u8; 4]),
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new authority with a key of its own.
    ///
    /// # Panics
    ///
    /// Without randomness.
    #[must_use]
    pub fn new() -> Self {
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        let mut params = named(&format!("authority {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("randomness");
        let certificate = params.self_signed(&key).expect("sound parameters");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// A store that trusts this authority only.
    ///
    /// # Panics
    ///
    /// Never: its certificate is its own.
    #[must_use]
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(read(&self.pem)).expect("an authority");
        roots
    }

    /// A certificate for these names, valid from 1975 to 4096.
    ///
    /// # Panics
    ///
    /// When a name is not ASCII.
    #[must_use]
    pub fn issue(&self, names: &[Name<'_>]) -> Issued {
        self.sign(names, named("a peer"))
    }

    /// A certificate for these names that expired at the end of 2001.
    ///
    /// # Panics
    ///
    /// When a name is not ASCII.
    #[must_use]
    pub fn issue_expired(&self, names: &[Name<'_>]) -> Issued {
        let mut params = named("a former peer");
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(names, params)
    }

    fn sign(&self, names: &[Name<'_>], mut params: CertificateParams) -> Issued {
        params.subject_alt_names = names.iter().map(|name| name.to_san()).collect();
        let key = KeyPair::generate().expect("randomness");
        let certificate = params.signed_by(&key, &self.issuer).expect("sound parameters");
        let (pem, der) = (certificate.pem(), certificate.der().to_vec());
        Issued { pem, der, key: key.serialize_pem() }
    }
}

/// A client for HTTP/2 that trusts this authority only, and shows this certificate if any.
///
/// # Panics
///
/// When the PEM is invalid.
#[must_use]
pub fn client(trusted: &Authority, shown: Option<&Issued>) -> ClientConfig {
    let builder = ClientConfig::builder().with_root_certificates(trusted.roots());
    let mut config = match shown {
        Some(Issued { pem, key, .. }) => {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            builder.with_client_auth_cert(vec![read(pem)], key).expect("a pair")
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// A connection to `address` after the TLS handshake of this client with the server there, as `localhost`.
///
/// # Errors
///
/// When no server is there, or the handshake fails.
///
/// # Panics
///
/// Never.
pub async fn shake_hands(
    address: SocketAddr,
    client: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = DnsName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(client)).connect(ServerName::DnsName(name), stream).await
}

fn read(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

impl Name<'_> {
    fn to_san(self) -> SanType {
        let ascii = |text| Ia5String::try_from(text).expect("ASCII");
        match self {
            Self::Dns(name) => SanType::DnsName(ascii(name)),
            Self::Uri(uri) => SanType::URI(ascii(uri)),
            Self::Ip(address) => SanType::IpAddress(IpAddr::from(address)),
        }
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
