//! `cargo xtask ci`: the only definition of green.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::tools::Tools;
use crate::workspace::Workspace;
use crate::{console, layers, process, test};

/// A check: its name, and what it does.
type Check = (&'static str, fn(&Workspace) -> Result<()>);

/// The quick ones first.
const CHECKS: [Check; 8] = [
    ("format", format),
    ("layers", layers::run),
    ("spelling", spelling),
    ("proto", proto),
    ("dependencies", dependencies),
    ("clippy", clippy),
    ("documentation", documentation),
    ("tests", tests),
];

/// Runs every check, up to the first that fails, and sums up.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut times = Vec::new();
    for (name, check) in CHECKS {
        console::note(format_args!("==> {name}"));
        let started = Instant::now();
        let outcome = check(workspace);
        times.push((name, if outcome.is_ok() { "ok" } else { "FAILED" }, started.elapsed()));
        if outcome.is_err() || times.len() == CHECKS.len() {
            sum_up(&times);
        }
        outcome.with_context(|| format!("check `{name}`"))?;
    }
    Ok(())
}

fn sum_up(times: &[(&str, &str, Duration)]) {
    for (name, outcome, time) in times {
        console::note(format_args!("{name:<14} {outcome:<7} {}", console::seconds(*time)));
    }
    let total = times.iter().map(|(.., time)| *time).sum();
    console::note(format_args!("{:<14} {:<7} {}", "total", "", console::seconds(total)));
}

fn format(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(&["fmt", "--all", "--check"]))
}

fn spelling(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.command(Tools::of(workspace).typos()?))
}

fn proto(workspace: &Workspace) -> Result<()> {
    let buf = Tools::of(workspace).buf()?;
    process::run(workspace.command(&buf).arg("lint"))?;
    process::run(workspace.command(&buf).args(["format", "--diff", "--exit-code"]))
}

/// Advisories are left out: their database has to be fetched, and a check must not depend on that day's network.
fn dependencies(workspace: &Workspace) -> Result<()> {
    let deny = Tools::of(workspace).cargo_deny()?;
    // Offline, cargo-deny sees only what was fetched before, on any platform.
    process::run(&mut workspace.cargo(&["fetch", "--locked"]))?;
    let arguments = ["--offline", "--workspace", "check", "bans", "licenses", "sources"];
    process::run(workspace.command(deny).args(arguments))
}

fn clippy(workspace: &Workspace) -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    process::run(&mut workspace.cargo(&arguments))
}

fn documentation(workspace: &Workspace) -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    process::run(workspace.cargo(&arguments).env("RUSTDOCFLAGS", "--deny warnings"))
}

fn tests(workspace: &Workspace) -> Result<()> {
    test::run(workspace, &test::Arguments::default())
}
