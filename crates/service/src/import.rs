//! Imports the tokens of a file into the database, beside running replicas.

mod lines;
mod refusal;
mod result_file;
mod row;
mod run;
mod summary;
mod work;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use ig_adapters::instagram::GraphApi;
use ig_adapters::persistence::{Database, SeaOrmStore};
use ig_application::Ports;

use self::lines::Lines;
use self::result_file::ResultFile;
use self::run::Run;
use crate::caller::Outputs;
use crate::config::{ImportConfig, InvalidSettings};
use crate::keys::Keys;
use crate::meters::UnreadMeters;
use crate::preparation::Preparation;
use crate::stop_signals::StopSignals;
use crate::wiring;

/// Name of the file that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// The files of an import.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The tokens: CSV with the header `access_token,owner,issue_time,expire_time`; `-` for standard input
    ///
    /// A line is one row. Times are written as 2026-11-24T08:00:00Z, and are empty where they are not known.
    file: PathBuf,
    /// The result: CSV with a row for each line, without its token; lines that stand there as done are skipped
    ///
    /// Without it, bad lines are written to standard error, and every line is tried.
    #[arg(long, value_name = "RESULT")]
    out: Option<PathBuf>,
}

/// Imports the tokens of the file. `FAILURE` where a line was bad, or the import was stopped.
///
/// # Errors
///
/// When a file cannot be read or written, the URL names no database, it cannot be used, or goes away, the keys are not
/// its own, or the sandbox does not tell its time. It may be run again.
pub(crate) async fn run(
    config: ImportConfig,
    args: ImportArgs,
    outputs: &mut Outputs<'_>,
) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::catch().context("stop signals cannot be caught")?;
    let (run, lines) = tokio::select! {
        begun = begin_run(config, args) => begun?,
        signal = signals.next() => return Err(run::stopped_by(signal)),
    };
    run.execute(lines, &mut signals, outputs).await
}

/// The run, and the lines of its file.
async fn begin_run(config: ImportConfig, args: ImportArgs) -> anyhow::Result<(Run, Input)> {
    let in_flight = config.in_flight;
    let ports = ports(config).await?;
    // A pipe may make its reader wait for ever.
    let opened = tokio::task::spawn_blocking(move || {
        let (lines, total) = open(&args.file)?;
        let (result, tried) = match &args.out {
            Some(path) => {
                let (result, tried) = ResultFile::open(path)?;
                (Some(result), tried)
            }
            None => (None, BTreeMap::new()),
        };
        anyhow::Ok((lines, total, result, tried))
    });
    let (lines, total, result, tried) = opened.await??;
    Ok((Run::new(ports, in_flight, result, tried, total), lines))
}

/// The ports over the database, once it is seen to be fit.
async fn ports(config: ImportConfig) -> anyhow::Result<Ports> {
    let ImportConfig { instagram, database, token_keys, plan, sandbox_clock_url, .. } = config;
    let database = Arc::new(Database::open(&database).map_err(InvalidSettings::from)?);
    if token_keys.is_none() && database.key_file().is_none() {
        return Err(InvalidSettings::no_keys().into());
    }
    let missing = database.pending_migrations().await;
    let missing = missing.context("the database cannot be asked for its migrations")?;
    if let Some(name) = missing.first() {
        bail!("migration {name} is missing: run `instagram-accounts migrate`");
    }
    let clock = wiring::clock(sandbox_clock_url.as_deref()).await?;
    let meters = UnreadMeters::new();
    let keys = Arc::new(Keys::new(token_keys));
    let app_id = instagram.app_id.clone();
    let store = SeaOrmStore::new(Arc::clone(&database), app_id, keys.clone(), meters.store);
    let store = Arc::new(store.with_plan(plan));
    let preparation = Preparation { database, migrates: false, keys, store: store.clone() };
    if let Some(rest) = preparation.begin().await? {
        rest.await?;
    }
    let instagram = GraphApi::new(instagram, meters.instagram)?;
    Ok(wiring::ports(store, instagram, clock, meters.use_cases))
}

type Input = Lines<Box<dyn BufRead + Send>>;

/// The lines of the file behind its header, and their number where that can be known before.
fn open(path: &Path) -> anyhow::Result<(Input, Option<u64>)> {
    let shown = path.display();
    let begun = begin(path).with_context(|| format!("{shown} cannot be read"))?;
    let Some(lines) = begun else {
        bail!("{shown} does not begin with the header {}", row::HEADER.join(","));
    };
    let total = count(path).with_context(|| format!("{shown} cannot be read"))?;
    Ok((lines, total))
}

/// The lines behind the header; `None` where the file begins with another line.
fn begin(path: &Path) -> io::Result<Option<Input>> {
    let input: Box<dyn BufRead + Send> = if path.as_os_str() == STANDARD_INPUT {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(path)?))
    };
    let mut lines = Lines::of(input);
    let header = lines.read()?.and_then(|line| line.bytes);
    Ok(header.is_some_and(|header| row::is_header(&header)).then_some(lines))
}

/// Number of lines behind the header; `None` of what can be read only once.
fn count(path: &Path) -> io::Result<Option<u64>> {
    if path.as_os_str() == STANDARD_INPUT || !path.metadata()?.is_file() {
        return Ok(None);
    }
    let mut lines = Lines::of(BufReader::new(File::open(path)?));
    let mut number = 0;
    while let Some(line) = lines.read()? {
        number = line.number;
    }
    Ok(number.checked_sub(1))
}
