//! The callers in `examples/`, each built by its own language's tools with the versions that it pins, all at the same
//! time. Dependencies are fetched once. Go's programs and Python's environment are in `target/examples`, all else is in
//! the folders of the examples.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::tools::{self, Tools};
use crate::workspace::Workspace;
use crate::{console, process};

/// Builds the examples; answers the folder in which `go` has Go's programs and `python` Python's environment.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let sources = workspace.root().join("examples");
    let folder = workspace.target().join("examples");
    fs::create_dir_all(&folder).context("cannot make target/examples")?;
    let buf = Tools::of(workspace).buf()?;
    let stubs = buf.parent().context("buf is in no folder")?;
    console::note("building the examples ...");
    let built = thread::scope(|scope| {
        let builds = [
            scope.spawn(|| go(&sources.join("go"), &folder.join("go"), stubs)),
            scope.spawn(|| python(&sources.join("python"), &folder.join("python"), stubs)),
            scope.spawn(|| typescript(&sources.join("typescript"), stubs)),
            scope.spawn(|| java(workspace, &sources.join("java"), stubs)),
        ];
        builds.map(|build| build.join().unwrap_or_else(|_| bail!("a build panicked")))
    });
    built.into_iter().collect::<Result<()>>()?;
    Ok(folder)
}

fn go(source: &Path, folder: &Path, buf: &Path) -> Result<()> {
    tools::require("go", "the Go example", "install Go 1.21 or newer (https://go.dev/dl)")?;
    let path = path_with(&[buf])?;
    process::run(in_folder("go", source).args(["generate", "."]).env("PATH", path))?;
    // With a slash behind it: the folder of both.
    let programs = folder.join("");
    process::run(
        in_folder("go", source).args(["build", "-o"]).arg(programs).args(["./publish", "./watch"]),
    )
}

fn python(source: &Path, environment: &Path, buf: &Path) -> Result<()> {
    let remedy = "install Python 3.10 or newer with venv (Debian: apt-get install python3-venv)";
    tools::require("python3", "the Python example", remedy)?;
    let requirements = source.join("requirements.txt");
    let programs = environment.join("bin");
    once(&[&requirements], &environment.join("requirements.txt"), || {
        note_fetching(&requirements);
        tools::remove_folder(environment)?;
        let mut make = Command::new("python3");
        process::run(make.args(["-m", "venv"]).arg(environment)).context(remedy)?;
        let mut install = Command::new(programs.join("python"));
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        process::run(install.arg("--requirement").arg(&requirements))
    })?;
    fs::create_dir_all(source.join("stubs")).context("cannot make a folder for Python's stubs")?;
    let path = path_with(&[buf, &programs])?;
    process::run(in_folder(buf.join("buf"), source).arg("generate").env("PATH", path))
}

fn typescript(source: &Path, buf: &Path) -> Result<()> {
    let remedy = "install Node.js 20 or newer with npm";
    for program in ["node", "npm"] {
        tools::require(program, "the TypeScript example", remedy)?;
    }
    let lock = source.join("package-lock.json");
    once(&[&lock], &source.join("node_modules/.installed"), || {
        note_fetching(&lock);
        let arguments = ["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"];
        process::run(in_folder("npm", source).args(arguments))
    })?;
    let path = path_with(&[buf])?;
    process::run(in_folder("npm", source).args(["run", "--silent", "build"]).env("PATH", path))
}

/// Maven takes seconds to find out that there is nothing to do, so it is asked for something new only.
fn java(workspace: &Workspace, source: &Path, buf: &Path) -> Result<()> {
    let remedy = "install a JDK, 17 or newer, and Maven 3.8 or newer (Debian: apt-get install default-jdk-headless maven)";
    for program in ["java", "javac", "mvn"] {
        tools::require(program, "the Java example", remedy)?;
    }
    let pom = source.join("pom.xml");
    let mut files = vec![pom.clone(), source.join("buf.gen.yaml")];
    files.extend(files_in(&source.join("src/main/java/example"))?);
    files.extend(files_in(&workspace.root().join("proto/instagram/accounts/v1"))?);
    let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
    once(&files, &source.join("target/built"), || {
        note_fetching(&pom);
        let path = path_with(&[buf])?;
        let arguments = ["--batch-mode", "--quiet", "-Dstyle.color=never", "process-classes"];
        process::run(in_folder("mvn", source).args(arguments).env("PATH", path))
    })
}

/// The files of a folder, in the order of their names.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let entries = entries.with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
    files.sort();
    Ok(files)
}

/// `PATH` with these folders before all others.
fn path_with(folders: &[&Path]) -> Result<OsString> {
    let ours = std::env::var_os("PATH").unwrap_or_default();
    let folders = folders.iter().map(|folder| folder.to_path_buf());
    let path = std::env::join_paths(folders.chain(std::env::split_paths(&ours)));
    path.context("a folder on PATH has a strange name")
}

/// Does something unless it was done to its end before, for the same contents of the files.
fn once(files: &[&Path], stamp: &Path, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut wanted = Vec::new();
    for file in files {
        let contents = fs::read(file);
        wanted.extend(contents.with_context(|| format!("cannot read {}", file.display()))?);
    }
    if fs::read(stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    work()?;
    fs::write(stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn note_fetching(list: &Path) {
    console::note(format_args!("fetching what {} names ...", list.display()));
}

fn in_folder(program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

#[cfg(test)]
mod tests {
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
            once(&[&file], &stamp, work).unwrap();
            assert_eq!(times.get(), expected);
        }
    }

    #[test]
    fn what_failed_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let (file, stamp) = (folder.path().join("lock"), folder.path().join("stamp"));
        fs::write(&file, "a").unwrap();
        once(&[&file], &stamp, || bail!("no network")).unwrap_err();
        let mut tried = false;
        once(&[&file], &stamp, || {
            tried = true;
            Ok(())
        })
        .unwrap();
        assert!(tried);
    }
}
