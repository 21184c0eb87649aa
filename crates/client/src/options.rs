//! Options: where the service is, whom to trust, and who calls.

use std::path::PathBuf;
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::credentials::{Credentials, authorization};

/// Timeout of one try to connect: name, TCP and TLS together.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Silence of a connection after which the peer is asked whether it is still there, and the time within which it must
/// answer. A call whose connection died is so made again well before its deadline.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the service is, whom to trust, and who calls. It has no `Debug`: it holds secrets.
#[derive(Clone)]
#[must_use]
pub struct ClientOptions {
    url: String,
    bearer: Bearer,
    ca_certificate: Option<Certificate>,
    identity: Option<Identity>,
}

#[derive(Clone)]
enum Bearer {
    None,
    Token(String),
    File(PathBuf),
}

/// Reason for which there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is none, or neither http nor https.
    #[error("not the URL of a service, such as https://accounts.internal:50051")]
    InvalidUrl,
    /// The bearer token has characters that no header can carry.
    #[error("the bearer token has characters that no token has")]
    InvalidBearer,
    /// An `https` URL without the certificate of the authority to trust.
    #[error("an https URL needs the certificate of the authority that the service's own is of")]
    CaCertificateMissing,
    /// A certificate or key that cannot be read.
    #[error("a certificate or its key cannot be read")]
    InvalidCertificate(#[source] tonic::transport::Error),
    /// Nobody answered in time, or not as a service of gRPC does.
    #[error("the service cannot be connected to")]
    Unreachable(#[source] tonic::transport::Error),
    /// Connecting took longer than it may.
    #[error("connecting took longer than 15 seconds")]
    DeadlineExceeded,
}

impl ClientOptions {
    /// A service at this URL, such as `https://accounts.internal:50051`, whose caller says nothing of who it is.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), bearer: Bearer::None, ca_certificate: None, identity: None }
    }

    /// Sends this bearer token with each call.
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.bearer = Bearer::Token(token.into());
        self
    }

    /// Sends the bearer token of this file with each call. The file is read each time, so a token that was replaced
    /// needs no restart; blanks around the token are left out.
    pub fn bearer_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.bearer = Bearer::File(path.into());
        self
    }

    /// Trusts the authority of this certificate, in PEM, and no other. An `https` URL needs it.
    pub fn ca_certificate(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.ca_certificate = Some(Certificate::from_pem(pem));
        self
    }

    /// Shows this certificate, whose DNS name or URI is the caller's name. Both are in PEM.
    pub fn client_certificate(
        mut self,
        certificate: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Self {
        self.identity = Some(Identity::from_pem(certificate, key));
        self
    }

    /// The way to the service, and what its calls carry.
    pub(crate) fn parse(self) -> Result<(Endpoint, Credentials), ConnectError> {
        let Self { url, bearer, ca_certificate, identity } = self;
        let endpoint = Endpoint::from_shared(url).map_err(|_| ConnectError::InvalidUrl)?;
        let secure = match endpoint.uri().scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(ConnectError::InvalidUrl),
        };
        let mut endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        if secure {
            let ca_certificate = ca_certificate.ok_or(ConnectError::CaCertificateMissing)?;
            let mut tls = ClientTlsConfig::new().ca_certificate(ca_certificate);
            if let Some(identity) = identity {
                tls = tls.identity(identity);
            }
            endpoint = endpoint.tls_config(tls).map_err(ConnectError::InvalidCertificate)?;
        }
        let credentials = match bearer {
            Bearer::None => Credentials::WithoutBearer,
            Bearer::Token(token) => {
                Credentials::Bearer(authorization(&token).map_err(|_| ConnectError::InvalidBearer)?)
            }
            Bearer::File(path) => Credentials::BearerFile(path),
        };
        Ok((endpoint, credentials))
    }
}
