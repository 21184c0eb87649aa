//! The file of callers, read again whenever it changes.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use ig_domain::Caller;
use ig_domain::ports::{Callers, Clock, Credentials, NotAuthenticated};

use super::stanza::{self, Stanza};
use super::table::{InvalidCallers, Table};

/// Maximum size of the file in bytes; ours.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// Callers that stand in a file.
pub struct CallersFile {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    read: ArcSwap<Read>,
    last_look: Mutex<Option<Result<String, CallersFileError>>>,
}

/// The last text that made sense, and its callers.
struct Read {
    text: String,
    table: Table,
}

/// Result of a look at the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Another result than that of the look before, so somebody may be writing the file.
    Unsettled,
    /// The callers that are known.
    Known,
    /// New callers, who count from now on.
    New,
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
    /// Reads the file; `clock` judges who has expired. Blocks, for the start.
    ///
    /// # Errors
    ///
    /// All of [`CallersFileError`].
    pub fn open(path: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, CallersFileError> {
        let text = read(&path)?;
        let table = Table::parse(&text)?;
        let read = ArcSwap::from_pointee(Read { text, table });
        Ok(Self { path, clock, read, last_look: Mutex::default() })
    }

    /// Looks at the file again. Only what two looks in a row have found counts, since an editor may empty the file
    /// before it writes it. The callers read before stay where the file cannot be used. Blocks.
    ///
    /// # Errors
    ///
    /// All of [`CallersFileError`].
    pub fn look(&self) -> Result<Look, CallersFileError> {
        let look = read(&self.path);
        let mut last = self.last_look.lock().unwrap_or_else(PoisonError::into_inner);
        if last.replace(look.clone()).as_ref() != Some(&look) {
            return Ok(Look::Unsettled);
        }
        let text = look?;
        if text == self.read.load().text {
            return Ok(Look::Known);
        }
        let table = Table::parse(&text)?;
        self.read.store(Arc::new(Read { text, table }));
        Ok(Look::New)
    }

    /// Path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of callers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.read.load().table.len()
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
        self.read.load().table.authenticate(credentials, self.clock.now())
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
