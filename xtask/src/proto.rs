//! The proto files: linted, formatted, and compatible with those that landed last.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::tools::Tools;
use crate::workspace::Workspace;

/// The files that landed last, compiled, so that a clone without history has them.
const LANDED: &str = "proto/landed.binpb";

/// Fails when the files break a rule, when they break a client of those that landed last, or when they are not those.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let buf = Tools::of(workspace).buf()?;
    process::run(workspace.command(&buf).arg("lint"))?;
    process::run(workspace.command(&buf).args(["format", "--diff", "--exit-code"]))?;
    breaking(workspace, &buf)?;
    let current = workspace.target().join("current.binpb");
    compile(workspace, &buf, &current)?;
    ensure!(
        read(&current)? == read(&workspace.root().join(LANDED))?,
        "{LANDED} is not made of these proto files: run `cargo xtask proto` and commit it"
    );
    Ok(())
}

/// Makes these files the landed ones, unless they break a client of those.
pub(crate) fn land(workspace: &Workspace) -> Result<()> {
    let buf = Tools::of(workspace).buf()?;
    breaking(workspace, &buf)?;
    compile(workspace, &buf, &workspace.root().join(LANDED))
}

fn breaking(workspace: &Workspace, buf: &Path) -> Result<()> {
    process::run(workspace.command(buf).args(["breaking", "--against", LANDED]))
        .context("the proto files break clients of those that landed last")
}

/// Without comments, which break nobody.
fn compile(workspace: &Workspace, buf: &Path, image: &Path) -> Result<()> {
    let arguments = ["build", "--exclude-source-info", "--output"];
    process::run(workspace.command(buf).args(arguments).arg(image))
}

fn read(image: &Path) -> Result<Vec<u8>> {
    fs::read(image).with_context(|| format!("cannot read {}", image.display()))
}
