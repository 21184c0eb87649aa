//! The commands `keys …`: make a sealing key, count what is sealed by key, and seal anew what is under another key than
//! the newest.

mod generate;
mod report;
mod rotate;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Subcommand;
use ig_adapters::persistence::{Database, SeaOrmStore};
use ig_adapters::sealing::{KeyFile, KeyFileError, KeyRing};
use ig_adapters::system::SystemClock;
use ig_application::CountSealed;
use ig_domain::ports::Clock as _;

pub(crate) use self::generate::generate;
use self::report::Report;
pub(crate) use self::rotate::rotate;
use crate::config::{Flags, InvalidSettings, NoConfig, TokenKeysConfig};
use crate::keys::Keys;
use crate::meters::unread_store_meter;
use crate::output::is_read_on;

/// What to do with sealing keys.
#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes a sealing key: prints an entry for `TOKEN_KEYS`, and on standard error how to roll it out
    #[command(after_help = "Exit codes:
  0  it is printed
  1  it could not be made
  2  a flag or a setting cannot be used")]
    Generate(Flags<NoConfig>),
    /// Counts what is sealed by key, and says of each key whether it is still needed
    ///
    /// Reads the database itself, and changes nothing there; no service needs to run.
    #[command(after_help = "Exit codes:
  0  all is shown
  1  the database or the key file cannot be read
  2  a flag or a setting cannot be used")]
    Status(Flags<TokenKeysConfig>),
    /// Seals anew, under the first key, all that is under another one, while the service goes on
    ///
    /// Run it once every replica has the first key. May be interrupted anywhere: the next run goes on. Payloads of
    /// webhooks stay as they are, and go with `EVENT_WINDOW`.
    #[command(after_help = "Exit codes:
  0  all is under the first key, but for payloads of webhooks
  1  it is not: run it again, or see what it says of keys that are missing
  2  a flag or a setting cannot be used")]
    Rotate(Flags<TokenKeysConfig>),
}

/// Writes to `out` what is sealed under each key, and what that means.
///
/// # Errors
///
/// When the URL names no database, it cannot be asked, or the key file cannot be read.
pub(crate) async fn status(
    config: TokenKeysConfig,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let TokenKeysConfig { database, app_id, token_keys, event_window } = config;
    let database = Database::open_read_only(&database).map_err(InvalidSettings::from)?;
    let ring = configured(token_keys, &database)?;
    let keys = Arc::new(Keys::default());
    // No secret is opened.
    let store = SeaOrmStore::new(Arc::new(database), app_id, keys, unread_store_meter());
    let sealed = CountSealed { secrets: Arc::new(store) }.execute().await;
    let sealed = sealed.context("the database cannot be asked for what is sealed")?;
    let configured = ring.as_ref().map(KeyRing::ids).unwrap_or_default();
    let report = Report { configured, sealed, event_window, time: SystemClock.now() };
    is_read_on(report.write(out))?;
    Ok(ExitCode::SUCCESS)
}

/// The keys of the settings or, where they have none, of the key file; `None` where that is not there either.
fn configured(
    token_keys: Option<KeyRing>,
    database: &Database,
) -> Result<Option<KeyRing>, KeyFileError> {
    let (None, Some(path)) = (&token_keys, database.key_file()) else { return Ok(token_keys) };
    match KeyFile::load_or_create(&path, false) {
        Ok(file) => Ok(Some(file.ring)),
        Err(KeyFileError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
