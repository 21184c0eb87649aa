//! The workspace: its folders, manifests and programs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};

/// The workspace of the package that cargo runs.
pub(crate) struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo, without any network.
    pub(crate) fn find() -> Result<Self> {
        let manifest = manifest(std::env::var_os("CARGO_MANIFEST_DIR"));
        let mut command = MetadataCommand::new();
        command.manifest_path(manifest).no_deps().other_options(["--offline".to_owned()]);
        let metadata = command.exec().context("cannot read the workspace's manifests")?;
        Ok(Self { metadata })
    }

    /// Metadata of the manifests.
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

/// A manifest of the workspace, in the folder that cargo names when it runs a package. Without cargo it is where this
/// program was built, which is another checkout's where a target folder was copied.
fn manifest(running: Option<OsString>) -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    running.map_or_else(built, PathBuf::from).join("Cargo.toml")
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
    fn a_copied_program_works_in_the_checkout_that_it_is_run_in() {
        let of = |folder: &str| manifest(Some(folder.into()));
        assert_eq!(of("/checkout/xtask"), Path::new("/checkout/xtask/Cargo.toml"));
        assert_eq!(manifest(None), Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    }

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
