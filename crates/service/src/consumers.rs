//! Says how far the named consumers of events have got, or forgets one.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use ig_adapters::persistence::{Database, DatabaseSettings, SeaOrmStore};
use ig_domain::ports::{ConsumerKey, ConsumerState, Consumers as _};
use ig_domain::{AppId, CallerName, ConsumerName, EventId, EventPosition};
use serde_json::{Value, json};

use crate::columns::{Columns, span};
use crate::config::{ConsumersConfig, InvalidSettings};
use crate::keys::Keys;
use crate::meters::unread_store_meter;
use crate::output::is_read_on;

const HEADER: [&str; 7] =
    ["CALLER", "CONSUMER", "COMMITTED", "HELD", "LAG_EVENTS", "LAG", "WINDOW_LEFT"];

/// What to do with consumers; without a command, show them.
#[derive(Args)]
pub(crate) struct ConsumersArgs {
    #[command(subcommand)]
    command: Option<ConsumersCommand>,
    /// Shows each as a line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum ConsumersCommand {
    /// Forgets a consumer: the next stream that names it must say where to begin
    #[command(after_help = "Exit codes:
  0  it is forgotten
  1  there is no such consumer, or the database cannot be asked
  2  a flag or a setting cannot be used")]
    Remove {
        /// The caller that it belongs to
        caller: CallerName,
        /// Its name
        name: ConsumerName,
    },
}

/// Writes the consumers of the app to `out`, or forgets one.
///
/// # Errors
///
/// When the URL names no database, it cannot be asked, or there is no such consumer.
pub(crate) async fn run(
    config: ConsumersConfig,
    args: ConsumersArgs,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let ConsumersConfig { database, app_id, event_window } = config;
    let ConsumersArgs { command, json: in_json } = args;
    if let Some(ConsumersCommand::Remove { caller, name }) = command {
        return remove(&database, app_id, ConsumerKey { caller, name }, out).await;
    }
    let database = Database::open_read_only(&database).map_err(InvalidSettings::from)?;
    let consumers = store(database, app_id).list(event_window).await;
    let consumers = consumers.context("the database cannot be asked for its consumers")?;
    let written = if in_json { write_json(&consumers, out) } else { write_table(&consumers, out) };
    is_read_on(written)?;
    Ok(ExitCode::SUCCESS)
}

async fn remove(
    database: &DatabaseSettings,
    app_id: AppId,
    key: ConsumerKey,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let database = Database::open(database).map_err(InvalidSettings::from)?;
    let removed = store(database, app_id).remove(&key).await;
    if !removed.context("the database cannot be asked to forget the consumer")? {
        bail!("{} has no consumer {}: `consumers` shows those there are", key.caller, key.name);
    }
    is_read_on(writeln!(out, "{} has no consumer {} any more", key.caller, key.name))?;
    Ok(ExitCode::SUCCESS)
}

/// The store of an app. No token is opened.
fn store(database: Database, app_id: AppId) -> SeaOrmStore {
    SeaOrmStore::new(Arc::new(database), app_id, Arc::new(Keys::default()), unread_store_meter())
}

/// Writes the consumers as a table, for people.
pub(crate) fn write_table(consumers: &[ConsumerState], out: &mut dyn Write) -> io::Result<()> {
    Columns::new(HEADER).write(consumers.iter().map(row).collect(), out)
}

fn write_json(consumers: &[ConsumerState], out: &mut dyn Write) -> io::Result<()> {
    consumers.iter().try_for_each(|consumer| writeln!(out, "{}", json(consumer)))
}

fn row(consumer: &ConsumerState) -> [String; 7] {
    let ConsumerState { key, committed, is_held, lag_events, lag, window_left } = consumer;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        key.caller.to_string(),
        key.name.to_string(),
        or_none(committed.as_ref().map(place)),
        if *is_held { "yes" } else { "no" }.to_owned(),
        lag_events.to_string(),
        span(*lag),
        span(*window_left),
    ]
}

/// A consumer as a value, for programs.
pub(crate) fn json(consumer: &ConsumerState) -> Value {
    let ConsumerState { key, committed, is_held, lag_events, lag, window_left } = consumer;
    json!({
        "caller": key.caller.as_str(),
        "consumer": key.name.as_str(),
        "committed": committed.as_ref().map(place),
        "held": is_held,
        "lag_events": lag_events,
        "lag_seconds": lag.as_secs(),
        "window_left_seconds": window_left.as_secs(),
    })
}

/// The id of the event that was committed last.
fn place(committed: &EventPosition) -> String {
    if committed.event == EventId::NONE {
        return "beginning".to_owned();
    }
    committed.event.to_string()
}

#[cfg(test)]
mod tests;
