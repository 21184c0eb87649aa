//! Makes a restored database fit to serve: a new log of events, and every account due.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use ig_adapters::persistence::{Database, SeaOrmStore};
use ig_domain::ports::Restoration as _;

use crate::config::{AfterRestoreConfig, InvalidSettings};
use crate::keys::Keys;
use crate::meters::unread_store_meter;
use crate::output::is_read_on;
use crate::wiring;

/// Number of accounts after which a line is written.
const PROGRESS_ACCOUNTS: u64 = 10_000;

/// Begins a new log of events and makes every account due. What it has done is written to `out`.
///
/// # Errors
///
/// When the URL names no database, it lacks a migration, it cannot be changed, or the sandbox does not tell its time. It may be run again.
pub(crate) async fn run(
    config: AfterRestoreConfig,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let AfterRestoreConfig { database, app_id, profile_every, sandbox_clock_url } = config;
    let database = Database::open(&database).map_err(InvalidSettings::from)?;
    let missing = database.pending_migrations().await;
    let missing = missing.context("the database cannot be asked for its migrations")?;
    if let Some(name) = missing.first() {
        bail!("migration {name} is missing: run `instagram-accounts migrate`");
    }
    let clock = wiring::clock(sandbox_clock_url.as_deref()).await?;
    // No token is opened.
    let keys = Arc::new(Keys::default());
    let store = SeaOrmStore::new(Arc::new(database), app_id, keys, unread_store_meter());
    let begun = store.begin_new_log().await;
    begun.context("no new log of events was begun")?;
    is_read_on(writeln!(
        out,
        "a new log of events has begun: every stream and cursor of before is expired"
    ))?;
    let (mut last, mut done) = (None, 0);
    loop {
        let made = store.make_due(last, clock.now(), profile_every).await;
        let made = made.with_context(|| format!("accounts were made due, but not all: {done}"))?;
        let Some((id, number)) = made else { break };
        let before = done;
        (last, done) = (Some(id), done + number);
        if before / PROGRESS_ACCOUNTS < done / PROGRESS_ACCOUNTS {
            is_read_on(writeln!(out, "accounts made due so far: {done}"))?;
        }
    }
    is_read_on(writeln!(out, "accounts made due: {done}"))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Closed;
    use ig_adapters::persistence::DatabaseSettings;
    use ig_test_support::builders::parsed;
    use std::time::Duration;

    fn config(file: &std::path::Path) -> AfterRestoreConfig {
        AfterRestoreConfig {
            database: DatabaseSettings::of(&format!("sqlite://{}?mode=rwc", file.display())),
            app_id: parsed("1"),
            profile_every: Duration::from_hours(24),
            sandbox_clock_url: None,
        }
    }

    #[tokio::test]
    async fn a_backup_of_an_older_version_is_to_be_migrated_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts.db");
        std::fs::write(&file, "").unwrap();
        let error = run(config(&file), &mut Vec::new()).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("migration ") && text.ends_with(": run `instagram-accounts migrate`"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn it_says_what_it_did_and_may_be_run_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts.db");
        Database::open(&config(&file).database).unwrap().migrate().await.unwrap();
        for _ in 0..2 {
            let mut out = Vec::new();
            assert_eq!(run(config(&file), &mut out).await.unwrap(), ExitCode::SUCCESS);
            let expected = "a new log of events has begun: every stream and cursor of before is expired\n\
                            accounts made due: 0\n";
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        assert_eq!(run(config(&file), &mut Closed).await.unwrap(), ExitCode::SUCCESS);
    }
}
