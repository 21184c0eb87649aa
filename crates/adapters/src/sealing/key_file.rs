//! The key file beside an SQLite database, for those who configure no keys.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ig_domain::ports::SealError;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{InvalidKeyRing, KeyRing, random};

/// Maximum size of the file in bytes: more than a thousand keys; ours.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The bits of a mode that are about others than the owner.
const FOR_OTHERS: u32 = 0o077;

/// The key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It is not there, and a new key would open nothing of what is sealed already.
    #[error(
        "the database holds sealed tokens, and their key file {0:?} is missing: restore it, or set TOKEN_KEYS"
    )]
    Missing(PathBuf),
    /// It holds something else.
    #[error("the key file {0:?} is damaged")]
    Malformed(PathBuf, #[source] InvalidKeyRing),
    /// Its mode lets others than its owner at it.
    #[error(
        "the key file {0:?} may be read by others than its owner (mode {1:04o}): `chmod 600 {path}`",
        path = .0.display()
    )]
    Exposed(PathBuf, u32),
    /// It cannot be read or written.
    #[error("the key file {0:?} cannot be read or written")]
    Io(PathBuf, #[source] io::Error),
    /// The system gave no randomness for a new key.
    #[error("no new key could be made")]
    NoRandomness(#[source] SealError),
}

/// Content of a key file.
#[derive(Debug)]
pub struct KeyFile {
    /// The keys.
    pub ring: KeyRing,
    /// Whether the file was made just now, with a new key.
    pub is_new: bool,
}

impl KeyFile {
    /// Reads the key file at `path`, or makes one with a new key where there is none and `may_create` says
    /// that nothing is sealed yet. Processes that start at once end with one key. Blocks; for the start.
    ///
    /// # Errors
    ///
    /// All of [`KeyFileError`].
    pub fn load_or_create(path: &Path, may_create: bool) -> Result<Self, KeyFileError> {
        if let Some(ring) = read(path)? {
            return Ok(Self { ring, is_new: false });
        }
        let mut is_new = false;
        if may_create {
            let text = new_key().map_err(KeyFileError::NoRandomness)?;
            is_new =
                create(path, &text).map_err(|error| KeyFileError::Io(path.to_owned(), error))?;
        }
        let ring = read(path)?.ok_or_else(|| KeyFileError::Missing(path.to_owned()))?;
        Ok(Self { ring, is_new })
    }
}

fn read(path: &Path) -> Result<Option<KeyRing>, KeyFileError> {
    let io = |error| KeyFileError::Io(path.to_owned(), error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if mode & FOR_OTHERS != 0 {
        return Err(KeyFileError::Exposed(path.to_owned(), mode));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(io)?;
    let ring = text.parse().map_err(|error| KeyFileError::Malformed(path.to_owned(), error))?;
    Ok(Some(ring))
}

/// A key under an id that no other key has: keys of one id that differ are taken for one another.
fn new_key() -> Result<Zeroizing<String>, SealError> {
    let mut id = [0; 8];
    random(&mut id)?;
    let entry = KeyRing::new_entry(&format!("made-{:016x}", u64::from_be_bytes(id)))?;
    Ok(Zeroizing::new(format!("{}\n", entry.expose_secret())))
}

/// Writes a whole file elsewhere and then links it to `path`: a link, unlike a rename, never replaces, so the
/// first of several wins, and nobody ever reads half a file. Returns whether it was the first.
fn create(path: &Path, text: &str) -> io::Result<bool> {
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:016x}", u64::from_be_bytes(suffix)));
    let draft = PathBuf::from(draft);
    let linked = write(&draft, text).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        linked => linked.map(|()| true),
    });
    let removed = fs::remove_file(&draft);
    let is_first = linked?;
    removed?;
    // The key must not be lost to a power cut once something is sealed under it.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(is_first)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
