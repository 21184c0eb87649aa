//! The callers in `examples/`, each built by its own language's tools with the versions that it pins. Dependencies are
//! fetched once; builds go to `target/examples`, but for TypeScript's, which node wants beside its packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::tools::{self, Tools};
use crate::workspace::Workspace;
use crate::{console, process};

/// Builds the examples; answers the folder with the Go program `publish`, the folder `python` with its environment,
/// and the folder `stubs` with Python's generated modules.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let sources = workspace.root().join("examples");
    let folder = workspace.target().join("examples");
    fs::create_dir_all(&folder).context("cannot make target/examples")?;
    console::note("building the examples ...");
    go(workspace, &sources.join("go"), &folder)?;
    python(workspace, &sources.join("python"), &folder)?;
    typescript(&sources.join("typescript"))?;
    Ok(folder)
}

fn go(workspace: &Workspace, source: &Path, folder: &Path) -> Result<()> {
    tools::require("go", "the Go example", "install Go 1.21 or newer (https://go.dev/dl)")?;
    let buf = Tools::of(workspace).buf()?;
    let ours = std::env::var_os("PATH").unwrap_or_default();
    let path = buf.parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&ours));
    let path = std::env::join_paths(path).context("a folder on PATH has a strange name")?;
    process::run(in_folder("go", source).args(["generate", "."]).env("PATH", path))?;
    process::run(in_folder("go", source).args(["build", "-o"]).arg(folder.join("publish")).arg("."))
}

fn python(workspace: &Workspace, source: &Path, folder: &Path) -> Result<()> {
    let remedy = "install Python 3.10 or newer with venv (Debian: apt-get install python3-venv)";
    tools::require("python3", "the Python example", remedy)?;
    let environment = folder.join("python");
    let python = environment.join("bin/python");
    once(&source.join("requirements.txt"), &environment.join("requirements.txt"), || {
        tools::remove_folder(&environment)?;
        let mut make = Command::new("python3");
        process::run(make.args(["-m", "venv"]).arg(&environment)).context(remedy)?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        process::run(install.arg("--requirement").arg(source.join("requirements.txt")))
    })?;
    let stubs = folder.join("stubs");
    fs::create_dir_all(&stubs).context("cannot make a folder for Python's stubs")?;
    let proto = workspace.root().join("proto");
    let mut protoc = in_folder(&python, &proto);
    protoc.args(["-m", "grpc_tools.protoc", "--proto_path=."]);
    for option in ["--python_out", "--grpc_python_out"] {
        protoc.arg(format!("{option}={}", stubs.display()));
    }
    let package = "instagram/accounts/v1";
    let files = ["account_event", "instagram_account", "instagram_account_service"];
    protoc.args(files.map(|file| format!("{package}/{file}.proto")));
    process::run(&mut protoc)
}

fn typescript(source: &Path) -> Result<()> {
    let remedy = "install Node.js 20 or newer with npm";
    for program in ["node", "npm"] {
        tools::require(program, "the TypeScript example", remedy)?;
    }
    let lock = source.join("package-lock.json");
    let stamp = source.join("node_modules/.installed");
    once(&lock, &stamp, || {
        let arguments = ["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"];
        process::run(in_folder("npm", source).args(arguments))
    })?;
    process::run(in_folder("npm", source).args(["run", "--silent", "build"]))
}

/// Does something unless it was done to its end before, for the same contents of `file`.
fn once(file: &Path, stamp: &Path, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    if fs::read(stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    console::note(format_args!("fetching what {} names ...", file.display()));
    work()?;
    fs::write(stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn in_folder(program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn what_was_done_is_done_again_only_for_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let (file, stamp) = (folder.path().join("lock"), folder.path().join("stamp"));
        let times = std::cell::Cell::new(0);
        let work = || {
            times.set(times.get() + 1);
            Ok(())
        };
        for (contents, expected) in [("a", 1), ("a", 1), ("b", 2)] {
            fs::write(&file, contents).unwrap();
            once(&file, &stamp, work).unwrap();
            assert_eq!(times.get(), expected);
        }
    }

    #[test]
    fn what_failed_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let (file, stamp) = (folder.path().join("lock"), folder.path().join("stamp"));
        fs::write(&file, "a").unwrap();
        once(&file, &stamp, || bail!("no network")).unwrap_err();
        let mut tried = false;
        once(&file, &stamp, || {
            tried = true;
            Ok(())
        })
        .unwrap();
        assert!(tried);
    }
}
