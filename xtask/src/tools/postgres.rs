//! PostgreSQL's own programs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{install_debian, on_path};

/// Folder in which Debian keeps them, with a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder with `initdb`, `postgres` and `pg_isready` of one version.
pub(crate) struct PostgresPrograms(PathBuf);

impl PostgresPrograms {
    /// Debian's package, installed, which is said; an error with the remedy where that cannot be.
    pub(crate) fn install() -> Result<Self> {
        install_debian(&["postgresql"])?;
        Self::find().context(
            "no PostgreSQL is found: install its server so that initdb and postgres are on PATH or below \
             /usr/lib/postgresql (Debian: apt-get install postgresql), start docker or podman, or set \
             TEST_DATABASE_URL to a server on which schemas may be made, such as \
             postgres://user:password@localhost/test",
        )
    }

    /// Those on `PATH`, else Debian's newest.
    pub(crate) fn find() -> Option<Self> {
        // Elsewhere than on `PATH`, `pg_isready` lies beside what a link there points to.
        let on_path = on_path("initdb").and_then(|initdb| fs::canonicalize(initdb).ok());
        let on_path = on_path.and_then(|initdb| Some(initdb.parent()?.to_owned()));
        on_path.into_iter().chain(newest_first(Path::new(DEBIAN))).map(Self).find(Self::is_complete)
    }

    fn is_complete(&self) -> bool {
        [self.initdb(), self.postgres(), self.pg_isready()].iter().all(|program| program.is_file())
    }

    /// Program that makes a server's data.
    pub(crate) fn initdb(&self) -> PathBuf {
        self.0.join("initdb")
    }

    /// The server.
    pub(crate) fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    /// Program that tells whether a server answers.
    pub(crate) fn pg_isready(&self) -> PathBuf {
        self.0.join("pg_isready")
    }
}

/// The `bin` folders of all versions below `folder`.
fn newest_first(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let version = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let mut versions: Vec<_> = entries.filter_map(version).collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    versions.iter().map(|version| folder.join(version.to_string()).join("bin")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_comes_first_by_number() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["9", "15", "17", "README"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let expected = ["17", "15", "9"].map(|name| folder.path().join(name).join("bin"));
        assert_eq!(newest_first(folder.path()), expected);
        assert_eq!(newest_first(Path::new("/no/such/folder")), [""; 0].map(PathBuf::from));
    }
}
