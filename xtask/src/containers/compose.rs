//! The stack as an engine runs it, in a project of its own: a stack that runs already is left alone.

use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::console;
use crate::process;
use crate::tools::ContainerEngine;
use crate::workspace::Workspace;

/// Prefix of the names of all projects of checks.
const PROJECTS: &str = "instagram-accounts-check";

/// Token by which Meta's check of the webhooks' address is known.
pub(super) const VERIFY_TOKEN: &str = "check";

/// Password; each of its characters but the letters means something in a URL.
const GENERATED_PASSWORD: &str = "a/b#c?d@e:f%g";

/// A container's health where it says so, else how it ended.
const STATE: &str = "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}} {{.State.ExitCode}}{{end}}";

/// The stack of `docker-compose.yml`, whether it runs or not.
pub(super) struct Compose<'a> {
    engine: &'a ContainerEngine,
    root: &'a Path,
    /// The name by which everything that a check of this checkout makes is found, also what an earlier one left.
    project: String,
    /// Address at which the proxy is published for calls.
    grpc: SocketAddr,
    /// Address at which the proxy is published for calls back.
    callbacks: SocketAddr,
    /// Address at which the sandbox is published.
    sandbox: SocketAddr,
    /// File of the differences from `docker-compose.yml`.
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
        let (root, [grpc, callbacks, sandbox]) = (workspace.root(), process::free_addresses()?);
        let (project, changes) = (project_of(root), folder.join("compose.json"));
        fs::write(&changes, changed(&project, programs).to_string())
            .context("cannot write changes")?;
        Ok(Self { engine, root, project, grpc, callbacks, sandbox, changes })
    }

    /// The name by which everything of this check is found.
    pub(super) fn project(&self) -> &str {
        &self.project
    }

    /// The service's image.
    pub(super) fn image(&self) -> String {
        image_of(&self.project, "accounts")
    }

    /// Address at which the proxy is published for calls.
    pub(super) fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// URL at which the proxy is published for calls back.
    pub(super) fn callbacks_url(&self) -> String {
        format!("http://{}", self.callbacks)
    }

    /// URL at which the sandbox is published.
    pub(super) fn sandbox_url(&self) -> String {
        format!("http://{}", self.sandbox)
    }

    /// Runs a command of Compose, with its output shown.
    pub(super) fn run(&self, words: &[&str]) -> Result<()> {
        process::run(self.command().args(words))
    }

    /// Output of a program in a service's container.
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
        let label = format!("label=com.docker.compose.project={}", self.project);
        for list in [["ps", "--all"], ["volume", "ls"], ["network", "ls"]] {
            let mut list = self.engine(list);
            let left = process::output(list.args(["--quiet", "--filter", &label]))?;
            ensure!(left.is_empty(), "`{}` still shows\n{left}", process::command_line(&list));
        }
        Ok(())
    }

    /// Removes the images that were built.
    pub(super) fn remove_images(&self) -> Result<()> {
        let images = ["accounts", "sandbox"].map(|name| image_of(&self.project, name));
        process::output(self.engine(["image", "rm"]).args(images)).map(|_| ())
    }

    /// A command of the engine.
    pub(super) fn engine(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(self.engine.program());
        command.current_dir(self.root).args(words);
        command
    }

    fn command(&self) -> Command {
        let mut command = self.engine(["compose", "--project-name", &self.project]);
        command.args(["--file", "docker-compose.yml", "--file"]).arg(&self.changes);
        command.env("POSTGRES_PASSWORD", GENERATED_PASSWORD);
        command.env("GRPC_PORT", self.grpc.port().to_string());
        command.env("CALLBACKS_PORT", self.callbacks.port().to_string());
        command.env("SANDBOX_PORT", self.sandbox.port().to_string());
        command.env("WEBHOOK_VERIFY_TOKEN", VERIFY_TOKEN);
        command
    }
}

/// Differences from `docker-compose.yml`: names of images, so that a check leaves those of a stack as they are, and the
/// source of the programs.
fn changed(project: &str, programs: Option<&Path>) -> Value {
    let [accounts, sandbox] = ["accounts", "sandbox"].map(|name| image_of(project, name));
    let built = |image: &str| match programs {
        Some(folder) => {
            json!({ "image": image, "build": { "additional_contexts": { "build": folder } } })
        }
        None => json!({ "image": image }),
    };
    json!({ "services": {
        "migrate": built(&accounts),
        "sandbox": built(&sandbox),
        "accounts-1": { "image": accounts },
        "accounts-2": { "image": accounts },
    } })
}

/// The project of a checkout: checks of several go on beside one another.
fn project_of(root: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    root.hash(&mut hasher);
    format!("{PROJECTS}-{:08x}", hasher.finish() >> 32)
}

/// An image of a project's, by the name of its program.
fn image_of(project: &str, name: &str) -> String {
    format!("instagram-{name}:{project}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn programs_stand_in_for_the_compile_stage_only_where_they_are_given() {
        let services = |programs| changed("check", programs)["services"].take();
        let given = services(Some(Path::new("/programs")));
        for service in ["migrate", "sandbox"] {
            let contexts = &given[service]["build"]["additional_contexts"];
            assert_eq!(*contexts, json!({ "build": "/programs" }), "{service}");
            assert_eq!(services(None)[service]["build"], Value::Null, "{service}");
        }
    }

    /// An engine that notes how it is called and with which ports, and does nothing.
    const ENGINE: &str = "#!/bin/sh\nfolder=$(dirname \"$0\")\n\
        echo \"$@\" >> \"$folder/calls\"\n\
        echo \"$GRPC_PORT $CALLBACKS_PORT $SANDBOX_PORT\" >> \"$folder/ports\"\n";

    #[test]
    fn a_check_has_a_project_ports_and_images_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("docker");
        fs::write(&program, ENGINE).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let (engine, project) = (&ContainerEngine::at(program), project_of(folder.path()));
        let [grpc, callbacks, sandbox] = process::free_addresses().unwrap();
        let changes = folder.path().join("compose.json");
        let root = folder.path();
        let name = project.clone();
        let compose = Compose { engine, root, project: name, grpc, callbacks, sandbox, changes };
        compose.run(&["up", "--wait"]).unwrap();
        compose.down().unwrap();
        compose.remove_images().unwrap();

        let calls = fs::read_to_string(root.join("calls")).unwrap();
        let stack = format!(
            "compose --project-name {project} --file docker-compose.yml --file {}/compose.json",
            root.display()
        );
        let left = format!("--quiet --filter label=com.docker.compose.project={project}");
        let expected = format!(
            "{stack} up --wait\n{stack} down --volumes --remove-orphans\n\
             ps --all {left}\nvolume ls {left}\nnetwork ls {left}\n\
             image rm instagram-accounts:{project} instagram-sandbox:{project}\n"
        );
        assert_eq!(calls, expected);
        let ports = fs::read_to_string(root.join("ports")).unwrap();
        let published = [grpc, callbacks, sandbox].map(|address| address.port().to_string());
        let published = published.join(" ");
        assert_eq!(ports.lines().take(2).collect::<Vec<_>>(), [&published, &published]);
        assert!(grpc != callbacks && callbacks != sandbox && sandbox != grpc);
    }

    #[test]
    fn checkouts_have_projects_of_their_own_and_each_keeps_its_name() {
        let [one, other] = ["/one", "/other"].map(|root| project_of(Path::new(root)));
        assert_ne!(one, other);
        assert_eq!(one, project_of(Path::new("/one")));
        let hash = one.strip_prefix("instagram-accounts-check-").unwrap();
        assert!(hash.len() == 8 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()), "{hash}");
    }

    #[test]
    fn the_stack_is_published_where_it_is_told_to_be() {
        let compose = include_str!("../../../docker-compose.yml");
        for published in [
            "${GRPC_PORT:-50051}:50051",
            "${CALLBACKS_PORT:-8080}:8080",
            "${SANDBOX_PORT:-8090}:8090",
        ] {
            assert!(compose.contains(&format!("- 127.0.0.1:{published}\n")), "{published}");
        }
        assert!(!compose.contains("127.0.0.1:8090/oauth"), "the browser is sent elsewhere");
    }

    #[test]
    fn no_image_of_a_running_stack_is_replaced() {
        let compose = include_str!("../../../docker-compose.yml");
        let services = changed("check", None)["services"].take();
        for (service, changes) in services.as_object().unwrap() {
            let image = changes["image"].as_str().unwrap();
            assert!(!compose.contains(image), "{service}: {image}");
        }
        let ours = compose.matches(":local\n").count();
        assert_eq!(ours, 2, "an image of ours has no name of its own in a check");
    }
}
