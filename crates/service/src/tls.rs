//! TLS from files, which are read again while the server runs.

mod following;

use std::io;
use std::path::{Path, PathBuf};

use ig_grpc_server::{Tls, TlsPart, TlsPem};
use secrecy::zeroize::Zeroizing;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

pub(crate) use self::following::FollowedTls;
use crate::config;

/// Maximum size of one file, in bytes; ours. A bundle of all public authorities is a quarter of it.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Files of TLS, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The server's certificate, followed by those that lead to its authority.
    pub(crate) certificate: PathBuf,
    /// The certificate's key.
    pub(crate) key: PathBuf,
    /// The authorities of clients' certificates; `None` when clients are not asked for one.
    pub(crate) client_ca: Option<PathBuf>,
}

/// A file cannot be used. Its text begins with the variable, and shows nothing of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {problem}", config::tls_variable(*part))]
pub(crate) struct TlsFileError {
    /// Part of TLS that the file is for.
    pub(crate) part: TlsPart,
    /// Description of the problem, which continues the variable's name.
    pub(crate) problem: String,
}

/// Contents of the files.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    certificate: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Zeroizing<Vec<u8>>>,
}

impl TlsFiles {
    async fn read(&self) -> Result<Contents, TlsFileError> {
        Ok(Contents {
            certificate: read(TlsPart::Certificate, &self.certificate).await?,
            key: read(TlsPart::Key, &self.key).await?,
            client_ca: match &self.client_ca {
                Some(path) => Some(read(TlsPart::ClientCa, path).await?),
                None => None,
            },
        })
    }

    fn tls_of(&self, contents: &Contents) -> Result<Tls, TlsFileError> {
        let Contents { certificate, key, client_ca } = contents;
        let client_ca = client_ca.as_ref().map(|bytes| bytes.as_slice());
        let made = Tls::from_pem(&TlsPem { certificate, key, client_ca });
        made.map_err(|invalid| TlsFileError::new(invalid.part, self.path(invalid.part), &invalid))
    }

    /// Name of the kind of TLS: mutual or not.
    pub(crate) fn name(&self) -> &'static str {
        if self.client_ca.is_some() { "mutual TLS" } else { "TLS" }
    }

    fn path(&self, part: TlsPart) -> &Path {
        match part {
            TlsPart::Certificate => &self.certificate,
            TlsPart::Key => &self.key,
            TlsPart::ClientCa => self.client_ca.as_deref().unwrap_or(Path::new("nothing")),
        }
    }
}

impl TlsFileError {
    /// `which` goes on after that word.
    fn new(part: TlsPart, path: &Path, which: &dyn std::fmt::Display) -> Self {
        Self { part, problem: format!("names {}, which {which}", config::shown_path(path)) }
    }
}

/// Reads the file of this part.
///
/// # Errors
///
/// [`TlsFileError`] when it cannot be read, or is larger than a mebibyte.
pub(crate) async fn read(part: TlsPart, path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsFileError> {
    let refuse = |which: String| TlsFileError::new(part, path, &which);
    let bytes = read_bounded(path).await;
    let bytes = bytes.map_err(|error| refuse(format!("is not readable ({error})")))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(refuse(format!("is larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

async fn read_bounded(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path).await?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
