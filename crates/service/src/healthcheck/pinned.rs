//! A TLS client that trusts one certificate: the one which the server itself is given.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Connects to servers that prove to be the owner of one certificate.
#[derive(Clone)]
pub(super) struct Pinned(Arc<ClientConfig>);

/// The server shows another certificate.
#[derive(Debug, thiserror::Error)]
#[error("it shows another certificate than the one in the file that GRPC_TLS_CERT names")]
struct Other;

/// Trusts this certificate, whatever its names, dates and issuer; and nothing else.
#[derive(Debug)]
struct Same {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    /// Trusts the first certificate in `pem`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(super) fn to(pem: &[u8]) -> anyhow::Result<Self> {
        let certificate = CertificateDer::from_pem_slice(pem).ok();
        let certificate =
            certificate.context("GRPC_TLS_CERT names a file without a certificate")?;
        let builder = ClientConfig::builder();
        let algorithms = builder.crypto_provider().signature_verification_algorithms;
        let same = Arc::new(Same { certificate, algorithms });
        let builder = builder.dangerous().with_custom_certificate_verifier(same);
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// A connection to the server there.
    ///
    /// # Errors
    ///
    /// When nobody is there, it speaks no TLS, or it shows another certificate.
    pub(super) async fn connect(self, server: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(server).await?;
        let connector = TlsConnector::from(self.0);
        let connected = connector.connect(server.ip().into(), stream).await;
        connected.map_err(|error| if is_refusal(&error) { io::Error::other(Other) } else { error })
    }
}

/// Whether our own verifier refused.
fn is_refusal(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    matches!(
        cause,
        Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    )
}

impl ServerCertVerifier for Same {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
