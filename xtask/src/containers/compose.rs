//! The stack as an engine runs it, in a project of its own: whoever runs the stack already keeps it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::console;
use crate::process;
use crate::tools::ContainerEngine;
use crate::workspace::Workspace;

/// The name by which everything that a check makes is found.
pub(super) const PROJECT: &str = "instagram-accounts-check";

/// The service's image.
pub(super) const IMAGE: &str = "instagram-accounts:check";

const SANDBOX_IMAGE: &str = "instagram-sandbox:check";

/// Each of its characters but the letters means something in a URL.
const GENERATED_PASSWORD: &str = "a/b#c?d@e:f%g";

/// A container's health where it says so, else how it ended.
const STATE: &str = "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}} {{.State.ExitCode}}{{end}}";

/// The stack of `docker-compose.yml`, whether it runs or not.
pub(super) struct Compose<'a> {
    engine: &'a ContainerEngine,
    root: &'a Path,
    /// What is different from `docker-compose.yml`.
    changes: PathBuf,
}

impl<'a> Compose<'a> {
    /// The stack with images of its own; `programs` stand in for the compile stage, where they are given.
    pub(super) fn new(
        engine: &'a ContainerEngine,
        workspace: &'a Workspace,
        programs: Option<&Path>,
    ) -> Result<Self> {
        let folder = workspace.target().join("containers");
        fs::create_dir_all(&folder).context("cannot make target/containers")?;
        let changes = folder.join("compose.json");
        fs::write(&changes, changed(programs).to_string()).context("cannot write changes")?;
        Ok(Self { engine, root: workspace.root(), changes })
    }

    /// Runs a command of Compose, with its output shown.
    pub(super) fn run(&self, words: &[&str]) -> Result<()> {
        process::run(self.command().args(words))
    }

    /// What a program prints in a service's container.
    pub(super) fn exec(&self, service: &str, words: &[&str]) -> Result<String> {
        process::output(self.command().args(["exec", "-T", service]).args(words))
    }

    /// `healthy`, `unhealthy` or `starting`; `exited 0` for one without a health check.
    pub(super) fn state(&self, service: &str) -> Result<String> {
        let containers = process::output(self.command().args(["ps", "--all", "--quiet", service]))?;
        let container = containers.lines().next();
        let container = container.with_context(|| format!("{service} has no container"))?;
        let state = process::output(&mut self.engine(["inspect", "--format", STATE, container]))?;
        Ok(state.trim_end().to_owned())
    }

    /// Shows the end of what each container printed. A failure was told already.
    pub(super) fn show_logs(&self) {
        if let Ok(logs) =
            process::output(self.command().args(["logs", "--no-color", "--tail", "40"]))
        {
            console::note(logs.trim_end());
        }
    }

    /// Removes all that the project has, also after a stop was asked; fails where something is left.
    pub(super) fn down(&self) -> Result<()> {
        let mut down = self.command();
        down.args(["down", "--volumes", "--remove-orphans"]);
        process::output(&mut down)?;
        let label = format!("label=com.docker.compose.project={PROJECT}");
        for list in [["ps", "--all"], ["volume", "ls"], ["network", "ls"]] {
            let mut list = self.engine(list);
            let left = process::output(list.args(["--quiet", "--filter", &label]))?;
            ensure!(left.is_empty(), "`{}` still shows\n{left}", process::line(&list));
        }
        Ok(())
    }

    /// Removes the images that were built.
    pub(super) fn remove_images(&self) -> Result<()> {
        process::output(&mut self.engine(["image", "rm", IMAGE, SANDBOX_IMAGE])).map(|_| ())
    }

    /// A command of the engine.
    pub(super) fn engine(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(self.engine.program());
        command.current_dir(self.root).args(words);
        command
    }

    fn command(&self) -> Command {
        let mut command = self.engine(["compose", "--project-name", PROJECT]);
        command.args(["--file", "docker-compose.yml", "--file"]).arg(&self.changes);
        command.env("POSTGRES_PASSWORD", GENERATED_PASSWORD);
        command
    }
}

/// What is different from `docker-compose.yml`: names of images, so that a check leaves those of a stack as they are,
/// and where the programs come from.
fn changed(programs: Option<&Path>) -> Value {
    let built = |image| match programs {
        Some(folder) => {
            json!({ "image": image, "build": { "additional_contexts": { "build": folder } } })
        }
        None => json!({ "image": image }),
    };
    json!({ "services": {
        "migrate": built(IMAGE),
        "sandbox": built(SANDBOX_IMAGE),
        "accounts-1": { "image": IMAGE },
        "accounts-2": { "image": IMAGE },
    } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_stand_in_for_the_compile_stage_only_where_they_are_given() {
        let services = |programs| changed(programs)["services"].take();
        let given = services(Some(Path::new("/programs")));
        for service in ["migrate", "sandbox"] {
            let contexts = &given[service]["build"]["additional_contexts"];
            assert_eq!(*contexts, json!({ "build": "/programs" }), "{service}");
            assert_eq!(services(None)[service]["build"], Value::Null, "{service}");
        }
    }

    #[test]
    fn no_image_of_a_running_stack_is_replaced() {
        let compose = include_str!("../../../docker-compose.yml");
        let services = changed(None)["services"].take();
        for (service, changes) in services.as_object().unwrap() {
            let image = changes["image"].as_str().unwrap();
            assert!(!compose.contains(image), "{service}: {image}");
        }
        let ours = compose.matches(":local\n").count();
        assert_eq!(ours, 2, "an image of ours has no name of its own in a check");
    }
}
