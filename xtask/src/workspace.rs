//! Where things are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};

/// The workspace that this program was built from.
pub(crate) struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo, without any network.
    pub(crate) fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let mut command = MetadataCommand::new();
        command.manifest_path(manifest).no_deps().other_options(["--offline".to_owned()]);
        let metadata = command.exec().context("cannot read the workspace's manifests")?;
        Ok(Self { metadata })
    }

    /// What the manifests say.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The top folder.
    pub(crate) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// The folder of all that is made: `target`, unless cargo was told otherwise.
    pub(crate) fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// A binary of ours, in its debug build.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target().join("debug").join(name)
    }

    /// A command that runs in the top folder.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root());
        command
    }

    /// `cargo` with arguments, in the top folder.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.args(arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(describes_package) {
                command.env_remove(name);
            }
        }
        command
    }
}

/// Whether a variable is one by which `cargo run` describes xtask to itself. Build scripts watch these: ring would be
/// built anew, and all that stands on it, whenever cargo is called now by xtask and now by hand.
fn describes_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_does_not_see_which_package_called_it() {
        let command = Workspace::find().unwrap().cargo(&["build"]);
        // `cargo test` describes this package just as `cargo run` does.
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
        let removed =
            |name: &str| command.get_envs().any(|(key, value)| key == name && value.is_none());
        assert!(removed("CARGO_PKG_NAME") && removed("CARGO_MANIFEST_DIR"));
        assert!(!removed("PATH"));
    }
}
