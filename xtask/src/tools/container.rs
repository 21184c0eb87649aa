//! The engine that runs containers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::on_path;

const ENGINES: [&str; 2] = ["docker", "podman"];

/// A program that runs containers.
pub(crate) struct ContainerEngine(PathBuf);

impl ContainerEngine {
    /// The first one on `PATH` that answers: the program alone runs nothing.
    pub(crate) fn find() -> Option<Self> {
        ENGINES.into_iter().filter_map(on_path).map(Self).find(Self::answers)
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
        let mut list = Command::new(&self.0);
        list.arg("ps").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        list.status().is_ok_and(|status| status.success())
    }
}

impl fmt::Display for ContainerEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_counts_only_while_it_answers() {
        assert!(ContainerEngine("true".into()).answers());
        assert!(!ContainerEngine("false".into()).answers());
        assert!(!ContainerEngine("/no/such/docker".into()).answers());
    }
}
