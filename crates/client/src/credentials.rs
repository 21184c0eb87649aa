//! Credentials: the bearer token of a caller, and where it is read.

use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tonic::metadata::errors::InvalidMetadataValue;
use tonic::metadata::{Ascii, MetadataValue};

/// Maximum size of a file with a bearer token, in bytes: what the service takes as metadata of a call.
const MAX_BEARER_FILE: u64 = 16 * 1024;

/// The value of the `authorization` metadata. It is marked as sensitive, so that its `Debug` hides it.
pub(crate) type Authorization = MetadataValue<Ascii>;

/// How a caller is known.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// By its certificate, or not at all.
    WithoutBearer,
    /// By this bearer token.
    Bearer(Authorization),
    /// By the bearer token in a file, which is read anew for each call.
    BearerFile(PathBuf),
}

impl Credentials {
    /// The metadata of the next call.
    ///
    /// # Errors
    ///
    /// A text that names the file and never its content.
    pub(crate) async fn authorization(&self) -> Result<Option<Authorization>, String> {
        match self {
            Self::WithoutBearer => Ok(None),
            Self::Bearer(authorization) => Ok(Some(authorization.clone())),
            Self::BearerFile(path) => read(path).await.map(Some),
        }
    }
}

/// The metadata that a bearer token is sent as.
pub(crate) fn authorization(token: &str) -> Result<Authorization, InvalidMetadataValue> {
    let mut authorization: Authorization = format!("Bearer {}", token.trim()).parse()?;
    authorization.set_sensitive(true);
    Ok(authorization)
}

async fn read(path: &Path) -> Result<Authorization, String> {
    let unreadable =
        |error| format!("the bearer token in {} cannot be read: {error}", path.display());
    let mut token = String::new();
    let file = File::open(path).await.map_err(unreadable)?;
    file.take(MAX_BEARER_FILE).read_to_string(&mut token).await.map_err(unreadable)?;
    authorization(&token).map_err(|_| format!("{} holds no bearer token", path.display()))
}
