//! The engine that runs containers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::on_path;

const ENGINES: [&str; 2] = ["docker", "podman"];

/// A program that runs containers.
pub(crate) struct ContainerEngine(PathBuf);

impl ContainerEngine {
    /// The first one on `PATH` that answers: the program alone runs nothing.
    pub(crate) fn find() -> Option<Self> {
        Self::answering().next()
    }

    /// The first one that answers and has Compose; else an error with the remedy.
    pub(crate) fn with_compose() -> Result<Self> {
        first_with_compose(Self::answering())
    }

    fn answering() -> impl Iterator<Item = Self> {
        ENGINES.into_iter().filter_map(on_path).map(Self).filter(Self::answers)
    }

    /// This program.
    #[cfg(test)]
    pub(crate) fn at(program: PathBuf) -> Self {
        Self(program)
    }

    /// The program.
    pub(crate) fn program(&self) -> &Path {
        &self.0
    }

    fn answers(&self) -> bool {
        self.succeeds(&["ps"])
    }

    fn has_compose(&self) -> bool {
        self.succeeds(&["compose", "version"])
    }

    fn succeeds(&self, words: &[&str]) -> bool {
        let mut command = Command::new(&self.0);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

fn first_with_compose(engines: impl Iterator<Item = ContainerEngine>) -> Result<ContainerEngine> {
    let mut without = None;
    for engine in engines {
        if engine.has_compose() {
            return Ok(engine);
        }
        without.get_or_insert(engine);
    }
    let engine = without.context("neither docker nor podman answers: install one, and start it")?;
    bail!(
        "`{engine} compose version` fails: install Compose 2.20 or newer (Docker's package docker-compose-plugin, \
         Debian's docker-compose)"
    )
}

impl fmt::Display for ContainerEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `true` does whatever it is told, `false` nothing.
    #[test]
    fn an_engine_without_compose_is_passed_by_and_named_where_there_is_no_other() {
        let [with, without] =
            ["true", "false"].map(|program| move || ContainerEngine(program.into()));
        let found = first_with_compose([without(), with()].into_iter()).unwrap();
        assert_eq!(found.program(), Path::new("true"));
        let error = first_with_compose([without()].into_iter()).err().unwrap().to_string();
        assert!(
            error.starts_with("`false compose version` fails: install Compose 2.20"),
            "{error}"
        );
        let error = first_with_compose(std::iter::empty()).err().unwrap().to_string();
        assert!(error.starts_with("neither docker nor podman answers: install one"), "{error}");
    }

    #[test]
    fn an_engine_counts_only_while_it_answers() {
        assert!(ContainerEngine("true".into()).answers());
        assert!(!ContainerEngine("false".into()).answers());
        assert!(!ContainerEngine("/no/such/docker".into()).answers());
    }
}
