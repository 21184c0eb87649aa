//! The file of callers.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use ig_domain::Caller;
use ig_domain::ports::{Callers, Clock, Credentials, NotAuthenticated};
use time::OffsetDateTime;

use super::stanza::{self, Stanza};
use super::table::{InvalidCallers, Table};

/// Maximum size of the file in bytes; ours.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// Callers that stand in a file.
pub struct CallersFile {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    table: ArcSwap<Table>,
}

/// The file cannot be used. The text repeats nothing of what stands there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallersFileError {
    /// It cannot be read.
    #[error("it cannot be read ({0})")]
    Unreadable(io::ErrorKind),
    /// It is a folder, a pipe or something else.
    #[error("it is not a file")]
    NotAFile,
    /// It is larger than a mebibyte.
    #[error("it is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// It is not text.
    #[error("it is not UTF-8")]
    NotText,
    /// It does not say who the callers are.
    #[error(transparent)]
    Invalid(#[from] InvalidCallers),
}

impl CallersFile {
    /// The file at `path`. Nobody is known until its text is [applied](Self::apply); `clock` judges who has expired.
    #[must_use]
    pub fn new(path: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { path, clock, table: ArcSwap::default() }
    }

    /// Reads the text of the file as it is now. Blocks.
    ///
    /// # Errors
    ///
    /// All of [`CallersFileError`] but [`Invalid`](CallersFileError::Invalid).
    pub fn read(&self) -> Result<String, CallersFileError> {
        read(&self.path)
    }

    /// Replaces the known callers by those of `text`.
    ///
    /// # Errors
    ///
    /// [`CallersFileError::Invalid`]; the callers known before stay then.
    pub fn apply(&self, text: &str) -> Result<(), CallersFileError> {
        self.table.store(Arc::new(Table::parse(text)?));
        Ok(())
    }

    /// Next moment at which a caller expires; `None` where none will.
    #[must_use]
    pub fn next_expire_time(&self) -> Option<OffsetDateTime> {
        self.table.load().next_expire_time(self.clock.now())
    }

    /// Number of callers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table.load().len()
    }
}

/// The callers of a file, as they stand there, once all of it is checked. Blocks.
///
/// # Errors
///
/// All of [`CallersFileError`].
pub fn stanzas(path: &Path) -> Result<Vec<Stanza>, CallersFileError> {
    let text = read(path)?;
    Table::parse(&text)?;
    let stanzas = stanza::read(&text)?;
    Ok(stanzas.into_iter().map(|(_, stanza)| stanza).collect())
}

impl Callers for CallersFile {
    fn authenticate(&self, credentials: Credentials<'_>) -> Result<Arc<Caller>, NotAuthenticated> {
        self.table.load().authenticate(credentials, self.clock.now())
    }
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, CallersFileError> {
    let unreadable = |error: io::Error| CallersFileError::Unreadable(error.kind());
    // A pipe would keep its reader waiting.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(CallersFileError::NotAFile);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CallersFileError::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| CallersFileError::NotText)
}

#[cfg(test)]
mod tests;
