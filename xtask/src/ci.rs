//! `cargo xtask ci`: the only definition of green.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::tools::Tools;
use crate::workspace::Workspace;
use crate::{console, containers, layers, process, proto, test};

/// Function of a check.
enum Check {
    Always(fn(&Workspace) -> Result<()>),
    /// Answers `false` where something is missing that no package manager of ours can bring.
    WherePossible(fn(&Workspace) -> Result<bool>),
}

impl Check {
    /// Runs the check; answers how it ended, in a word or two.
    fn run(&self, workspace: &Workspace) -> Result<&'static str> {
        let run = match self {
            Self::Always(check) => check(workspace).map(|()| true),
            Self::WherePossible(check) => check(workspace),
        };
        run.map(|run| if run { "ok" } else { "NOT RUN" })
    }
}

/// All checks, the quick ones first.
const CHECKS: [(&str, Check); 9] = [
    ("format", Check::Always(format)),
    ("layers", Check::Always(layers::run)),
    ("spelling", Check::Always(spelling)),
    ("proto", Check::Always(proto::check)),
    ("dependencies", Check::Always(dependencies)),
    ("clippy", Check::Always(clippy)),
    ("documentation", Check::Always(documentation)),
    ("tests", Check::Always(tests)),
    ("containers", Check::WherePossible(containers)),
];

/// Runs every check, up to the first that fails, and sums up.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut times = Vec::new();
    for (name, check) in CHECKS {
        console::note(format_args!("==> {name}"));
        let started = Instant::now();
        let outcome = check.run(workspace);
        times.push((name, *outcome.as_ref().unwrap_or(&"FAILED"), started.elapsed()));
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

/// The stack of `docker-compose.yml`.
fn containers(workspace: &Workspace) -> Result<bool> {
    containers::run_where_possible(workspace)
}
