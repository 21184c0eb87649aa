//! Changes the file of callers, or leaves it as it was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use ig_domain::BearerHash;

use super::file::{self, CallersFileError};
use super::stanza::{self, Stanza};
use super::table::{InvalidCallers, Table};

/// A changed file that waits beside the one it is to replace. Dropping it changes nothing.
#[derive(Debug)]
pub struct Edit {
    file: PathBuf,
    changed: PathBuf,
    committed: bool,
}

/// Nothing was changed; the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// There is a caller of this name.
    #[error("there is a caller of this name already")]
    Exists,
    /// There is no caller of this name that has a token.
    #[error("there is no caller of this name that has a token")]
    Missing,
    /// There is no caller of this name.
    #[error("there is no caller of this name")]
    Unknown,
    /// The callers stand in one list, `caller = [{…}]`.
    #[error("this caller is no [[caller]] of its own, so it must be taken out by hand")]
    InOneList,
    /// The file cannot be used as it is.
    #[error(transparent)]
    Unusable(#[from] CallersFileError),
    /// The change would make the file invalid.
    #[error("with the change, {0}")]
    Invalid(InvalidCallers),
    /// Somebody else is changing it, or left this file behind.
    #[error("{0:?} is there: wait for whoever is changing the callers, or remove it")]
    Busy(PathBuf),
    /// The file cannot be written.
    #[error("it cannot be written")]
    Io(#[source] io::Error),
}

impl Edit {
    /// Prepares `path` with one more caller; makes it where it is not there.
    ///
    /// # Errors
    ///
    /// [`EditError`]: all that tells of a caller that is there already, or of a file that cannot be changed.
    pub fn of_caller(path: &Path, stanza: &Stanza) -> Result<Self, EditError> {
        Self::prepare(path, |text, table| {
            if table.has(&stanza.name) {
                return Err(EditError::Exists);
            }
            let blank = match text {
                "" => "",
                text if text.ends_with('\n') => "\n",
                _ => "\n\n",
            };
            let stanza = stanza.to_toml().map_err(EditError::Invalid)?;
            Ok(format!("{text}{blank}{stanza}"))
        })
    }

    /// Prepares `path` with one more token for a caller that has one.
    ///
    /// # Errors
    ///
    /// [`EditError`]: all that tells of a caller without a token, or of a file that cannot be changed.
    pub fn of_token(path: &Path, name: &str, token: &BearerHash) -> Result<Self, EditError> {
        Self::prepare(path, |text, _| {
            stanza::with_token(text, name, token).ok_or(EditError::Missing)
        })
    }

    /// Prepares `path` without this caller. Everything else stays, comments too.
    ///
    /// # Errors
    ///
    /// [`EditError`]: all that tells of a caller that is not there, or of a file that cannot be changed.
    pub fn without_caller(path: &Path, name: &str) -> Result<Self, EditError> {
        Self::prepare(path, |text, table| {
            if !table.has(name) {
                return Err(EditError::Unknown);
            }
            stanza::without(text, name).ok_or(EditError::InOneList)
        })
    }

    fn prepare(
        path: &Path,
        change: impl FnOnce(&str, &Table) -> Result<String, EditError>,
    ) -> Result<Self, EditError> {
        let known = match fs::metadata(path) {
            Ok(known) => Some(known),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(CallersFileError::Unreadable(error.kind()).into()),
        };
        // The target of a link is replaced, not the link.
        let file = match known {
            Some(_) => fs::canonicalize(path).map_err(EditError::Io)?,
            None => path.to_owned(),
        };
        let text = if known.is_some() { file::read(&file)? } else { String::new() };
        let table = Table::parse(&text).map_err(CallersFileError::from)?;
        let text = change(&text, &table)?;
        if text.len() as u64 > file::MAX_BYTES {
            return Err(CallersFileError::TooLarge.into());
        }
        Table::parse(&text).map_err(EditError::Invalid)?;
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let changed = file.with_file_name(name);
        let written = create(&changed, known.as_ref())?;
        let edit = Self { file, changed, committed: false };
        fill(written, &text, known.as_ref()).map_err(EditError::Io)?;
        Ok(edit)
    }

    /// Puts the changed file into the place of the other, at once for every reader.
    ///
    /// # Errors
    ///
    /// [`EditError::Io`].
    pub fn commit(mut self) -> Result<(), EditError> {
        fs::rename(&self.changed, &self.file).map_err(EditError::Io)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Edit {
    fn drop(&mut self) {
        // After a commit a file of this name is somebody else's.
        if !self.committed {
            let _ = fs::remove_file(&self.changed);
        }
    }
}

/// Creates the changed file. It must not exist yet: that keeps two changes apart.
fn create(path: &Path, model: Option<&fs::Metadata>) -> Result<File, EditError> {
    let mode = model.map_or(0o644, fs::Metadata::mode);
    let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    created.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => EditError::Busy(path.to_owned()),
        _ => EditError::Io(error),
    })
}

/// Writes the text, for the same users as before.
fn fill(mut file: File, text: &str, model: Option<&fs::Metadata>) -> io::Result<()> {
    if let Some(model) = model {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (model.uid(), model.gid()) {
            fchown(&file, Some(model.uid()), Some(model.gid()))?;
        }
        file.set_permissions(model.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
