//! `cargo xtask simulate`: plays histories of the simulation that no test run plays, on all cores.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::Message;

use crate::console::{self, Progress};
use crate::process;
use crate::workspace::Workspace;

/// A release, built in a minute.
const PROFILE: &str = "simulation";

/// The test that plays the seeds which `SIMULATION_SEEDS` names.
const TEST: &str = "no_history_breaks_an_invariant";

/// Number of histories that a process plays before it reports.
const BATCH: u64 = 1_000;

/// What `cargo xtask simulate` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many histories to play
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    histories: u64,
    /// The first seed; without it, one that the time of day chooses
    #[arg(long, value_name = "SEED")]
    from: Option<u64>,
}

/// Builds the simulation, plays the histories, and prints each seed that breaks an invariant as it is found.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    console::note("building the simulation ...");
    let simulation = build(workspace)?;
    let from = arguments.from.map_or_else(seed_of_now, Ok)?;
    let to = from.checked_add(arguments.histories).context("the seeds end at 2^64")?;
    console::note(format_args!("playing the seeds {from}..{to}"));
    let started = Instant::now();
    let failed = play(&simulation, from..to)?;
    let took = console::seconds(started.elapsed());
    console::say(format_args!("{} histories in {took}, {failed} failed", arguments.histories));
    ensure!(
        failed == 0,
        "replay one with SIMULATION_SEED=<seed> cargo test --workspace --test simulation"
    );
    Ok(())
}

/// Seconds since 1970, with room behind each for a million seeds.
#[expect(
    clippy::disallowed_methods,
    reason = "each run without a seed is to play histories of its own"
)]
fn seed_of_now() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(now.as_secs() * 1_000_000)
}

/// Builds the simulation's program and says where it is.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo(&["test", "--workspace", "--test", "simulation", "--no-run"]);
    cargo.args(["--profile", PROFILE, "--message-format", "json-render-diagnostics"]);
    let built = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(built.status.success(), "`{}` failed: {}", process::command_line(&cargo), built.status);
    let messages = Message::parse_stream(built.stdout.as_slice());
    let program = messages.filter_map(|message| match message {
        Ok(Message::CompilerArtifact(artifact)) if artifact.target.name == "simulation" => {
            artifact.executable
        }
        _ => None,
    });
    let program = program.last().context("cargo does not say where it built the simulation")?;
    Ok(program.into_std_path_buf())
}

/// Plays all `seeds`, as many batches at once as there are cores; returns how many failed.
fn play(simulation: &Path, seeds: Range<u64>) -> Result<u64> {
    let progress = Progress::begin("histories", seeds.end - seeds.start);
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let trouble = Mutex::new(None);
    let worker = || {
        while !process::stop_asked() {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            if from >= seeds.end {
                break;
            }
            let batch = from..from.saturating_add(BATCH).min(seeds.end);
            match play_batch(simulation, &batch) {
                Ok(broken) => {
                    failed.fetch_add(broken.len() as u64, Ordering::Relaxed);
                    for line in &broken {
                        progress.say(line);
                    }
                    progress.advance(batch.end - batch.start);
                }
                Err(error) => {
                    next.store(seeds.end, Ordering::Relaxed);
                    trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        }
    };
    let cores = thread::available_parallelism().context("cannot count the cores")?;
    thread::scope(|scope| {
        for _ in 0..cores.get() {
            scope.spawn(worker);
        }
    });
    progress.done();
    if process::stop_asked() {
        bail!("stopped; {} seeds had failed by then", failed.into_inner());
    }
    let trouble = trouble.into_inner().unwrap_or_else(PoisonError::into_inner);
    trouble.map_or(Ok(failed.into_inner()), Err)
}

/// The reports of a batch, each of which names a seed and what it broke.
fn play_batch(simulation: &Path, seeds: &Range<u64>) -> Result<Vec<String>> {
    let mut command = Command::new(simulation);
    command.args([TEST, "--exact", "--nocapture"]);
    command.env("SIMULATION_SEEDS", format!("{}..{}", seeds.start, seeds.end));
    let played = command.output().context("cannot start the simulation")?;
    let said = String::from_utf8_lossy(&played.stderr);
    let broken = broken_seeds(&said);
    // Without a seed it is no history that failed.
    ensure!(played.status.success() == broken.is_empty(), "{seeds:?}: {}\n{said}", played.status);
    Ok(broken)
}

/// The reports in the output of a batch: each a line that names the seed, and the indented lines of the shrunk history.
fn broken_seeds(said: &str) -> Vec<String> {
    let mut reports: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in said.lines() {
        if line.starts_with("seed ") {
            is_inside = true;
            reports.push(line.to_owned());
        } else if let Some(report) = reports.last_mut()
            && is_inside
            && line.starts_with("    ")
        {
            report.push('\n');
            report.push_str(line);
        } else {
            is_inside = false;
        }
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(script: &str) -> (tempfile::TempDir, PathBuf) {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("simulation");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    #[test]
    fn every_seed_is_played_once_and_those_that_fail_are_counted() {
        let script = r#"
            echo "$SIMULATION_SEEDS" >> "$(dirname "$0")/played"
            case "$SIMULATION_SEEDS" in 7..*) echo "seed 9: broken" >&2; exit 101;; esac"#;
        let (folder, simulation) = program(script);
        assert_eq!(play(&simulation, 7..2_500).unwrap(), 1);
        let played = std::fs::read_to_string(folder.path().join("played")).unwrap();
        let mut played: Vec<_> = played.lines().collect();
        played.sort_unstable();
        assert_eq!(played, ["1007..2007", "2007..2500", "7..1007"]);
    }

    #[test]
    fn a_report_is_a_seed_and_its_shrunk_history() {
        let said = "note: replay\nseed 7: broken\n    shrunk\n      at last\nseed 9: broken\nstack:\n    0: main";
        let reports = ["seed 7: broken\n    shrunk\n      at last", "seed 9: broken"];
        assert_eq!(broken_seeds(said), reports);
    }

    #[test]
    fn a_simulation_that_fails_without_a_seed_is_no_success() {
        let (_folder, simulation) = program("echo killed >&2; exit 101");
        let error = play(&simulation, 0..10).unwrap_err().to_string();
        assert!(error.contains("killed"), "{error}");
    }
}
