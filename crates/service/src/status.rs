//! Says how all accounts are, from the database itself.

mod json;
mod report;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use ig_adapters::persistence::{Database, SeaOrmStore};
use ig_domain::ports::{
    AppBreaker, Breaker, ConsumerState, Consumers, EventSurvey, LogCount, StoreError, Survey,
    Surveys, WorstAccount,
};
use time::OffsetDateTime;

use crate::config::{InvalidSettings, StatusConfig};
use crate::keys::Keys;
use crate::meters::unread_store_meter;
use crate::output::is_read_on;
use crate::wiring;

/// Maximum number of accounts that are shown one by one.
const MAX_WORST: u64 = 10;

/// Form of the output.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// Shows all of it as one line of JSON
    #[arg(long)]
    json: bool,
}

/// State of all accounts of the app.
struct Status {
    survey: Survey,
    /// The worst accounts, soonest expiry first.
    worst: Vec<WorstAccount>,
    breaker: Breaker,
    log: LogCount,
    consumers: Vec<ConsumerState>,
    event_window: Duration,
}

/// Writes the state of all accounts to `out`.
///
/// # Errors
///
/// When the URL names no database, it cannot be read, or the sandbox does not tell its time.
pub(crate) async fn run(
    config: StatusConfig,
    args: StatusArgs,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let StatusArgs { json: in_json } = args;
    let StatusConfig { database, app_id, event_window, sandbox_clock_url } = config;
    let database = Database::open_read_only(&database).map_err(InvalidSettings::from)?;
    let clock = wiring::clock(sandbox_clock_url.as_deref()).await?;
    // No token is opened.
    let keys = Arc::new(Keys::default());
    let store = SeaOrmStore::new(Arc::new(database), app_id, keys, unread_store_meter());
    let status = Status::read(&store, clock.now(), event_window).await;
    let status = status.context("the database cannot be asked for its accounts")?;
    let written = if in_json { json::write(&status, out) } else { report::write(&status, out) };
    is_read_on(written)?;
    Ok(ExitCode::SUCCESS)
}

impl Status {
    async fn read<S>(
        store: &S,
        now: OffsetDateTime,
        event_window: Duration,
    ) -> Result<Self, StoreError>
    where
        S: Surveys + AppBreaker + EventSurvey + Consumers,
    {
        Ok(Self {
            survey: store.survey(now).await?,
            worst: store.worst(now, MAX_WORST).await?,
            breaker: store.load().await?,
            log: store.count_log().await?,
            consumers: store.list(event_window).await?,
            event_window,
        })
    }
}

#[cfg(test)]
mod tests;
