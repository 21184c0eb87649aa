//! The settings: read once, checked together, before anything else happens.

mod flags;
mod import;
mod log;
mod log_filter;
mod origin;
mod parse;
mod problem;
mod reader;
mod serve;
pub(crate) mod setting;
mod similar_names;
#[cfg(test)]
mod tests;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ig_adapters::persistence::DatabaseSettings;
use ig_adapters::sealing::KeyRing;
use ig_domain::AppId;
use secrecy::SecretString;

pub(crate) use self::flags::{Flags, Settings};
pub(crate) use self::import::ImportConfig;
pub(crate) use self::log::{LogConfig, LogFormat};
pub(crate) use self::origin::shown_path;
pub(crate) use self::problem::{InvalidSettings, Problem};
pub(crate) use self::reader::{Reader, Variables};
pub(crate) use self::serve::ServeConfig;
pub(crate) use self::tls::variable as tls_variable;

/// The settings of a command.
pub(crate) trait Config: Sized {
    /// Reads every setting, whatever the others turn out to be: so all that is wrong is told at once, and the help of
    /// the command shows them all. `None` when one cannot be used.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

/// Settings of `migrate`.
pub(crate) struct MigrateConfig {
    /// The database.
    pub(crate) database: DatabaseSettings,
}

/// Settings of `caller`.
pub(crate) struct CallerConfig {
    /// The file of callers; `None` where none is named.
    pub(crate) file: Option<PathBuf>,
}

/// Settings of `audit`.
pub(crate) struct AuditConfig {
    /// The database.
    pub(crate) database: DatabaseSettings,
    /// App whose entries are shown; `None` for those of every app.
    pub(crate) app_id: Option<AppId>,
}

/// Settings of `status`.
pub(crate) struct StatusConfig {
    /// The database.
    pub(crate) database: DatabaseSettings,
    /// App whose accounts are shown.
    pub(crate) app_id: AppId,
    /// Time for which events are kept.
    pub(crate) event_window: Duration,
    /// URL of the sandbox's clock, which gives business time; `None` for the machine's clock.
    pub(crate) sandbox_clock_url: Option<String>,
}

/// Settings of `consumers`.
pub(crate) struct ConsumersConfig {
    /// The database.
    pub(crate) database: DatabaseSettings,
    /// App whose consumers are meant.
    pub(crate) app_id: AppId,
    /// Time for which events are kept.
    pub(crate) event_window: Duration,
}

/// Settings of `keys status` and `keys rotate`.
pub(crate) struct TokenKeysConfig {
    /// The database.
    pub(crate) database: DatabaseSettings,
    /// App whose secrets are meant.
    pub(crate) app_id: AppId,
    /// The keys that seal tokens; `None` for a key file beside the database.
    pub(crate) token_keys: Option<KeyRing>,
    /// Time for which events are kept.
    pub(crate) event_window: Duration,
}

/// Settings of a command that needs none.
pub(crate) struct NoConfig;

/// Settings of `after-restore`.
pub(crate) struct AfterRestoreConfig {
    /// The database.
    pub(crate) database: DatabaseSettings,
    /// App whose log and accounts are meant.
    pub(crate) app_id: AppId,
    /// Time between two readings of a profile.
    pub(crate) profile_every: Duration,
    /// URL of the sandbox's clock, which gives business time; `None` for the machine's clock.
    pub(crate) sandbox_clock_url: Option<String>,
}

/// Settings of `healthcheck`.
pub(crate) struct HealthcheckConfig {
    /// Address on which the server listens.
    pub(crate) listen: SocketAddr,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
}

impl Config for MigrateConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        database(reader).map(|database| Self { database })
    }
}

impl Config for CallerConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        callers_file(reader).map(|file| Self { file })
    }
}

impl Config for AuditConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let database = database(reader);
        let app_id = reader.optional(&setting::APP_ID, parse::app_id);
        database.zip(app_id).map(|(database, app_id)| Self { database, app_id })
    }
}

impl Config for StatusConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let database = database(reader);
        let app_id = reader.value(&setting::APP_ID, parse::app_id);
        let event_window = event_window(reader);
        let sandbox_clock_url = reader.optional(&setting::SANDBOX_CLOCK_URL, parse::clock_url);
        Some(Self {
            database: database?,
            app_id: app_id?,
            event_window: event_window?,
            sandbox_clock_url: sandbox_clock_url?,
        })
    }
}

impl Config for ConsumersConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let database = database(reader);
        let app_id = reader.value(&setting::APP_ID, parse::app_id);
        let event_window = event_window(reader);
        Some(Self { database: database?, app_id: app_id?, event_window: event_window? })
    }
}

impl Config for TokenKeysConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let database = database(reader);
        let app_id = reader.value(&setting::APP_ID, parse::app_id);
        let token_keys = reader.optional(&setting::TOKEN_KEYS, parse::key_ring);
        let event_window = event_window(reader);
        Some(Self {
            database: database?,
            app_id: app_id?,
            token_keys: token_keys?,
            event_window: event_window?,
        })
    }
}

impl Config for NoConfig {
    fn read(_: &mut Reader<'_>) -> Option<Self> {
        Some(Self)
    }
}

impl Config for AfterRestoreConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let database = database(reader);
        let app_id = reader.value(&setting::APP_ID, parse::app_id);
        let profile_every = profile_every(reader);
        let sandbox_clock_url = reader.optional(&setting::SANDBOX_CLOCK_URL, parse::clock_url);
        Some(Self {
            database: database?,
            app_id: app_id?,
            profile_every: profile_every?,
            sandbox_clock_url: sandbox_clock_url?,
        })
    }
}

impl Config for HealthcheckConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let listen = listen(reader);
        let tls = tls::certificate(reader).map(|certificate| certificate.is_some());
        listen.zip(tls).map(|(listen, tls)| Self { listen, tls })
    }
}

/// Settings of the database. Its URL is checked when it is opened.
fn database(reader: &mut Reader<'_>) -> Option<DatabaseSettings> {
    let secret = |raw: &str| Ok::<_, Infallible>(SecretString::from(raw));
    let url = reader.value(&setting::DATABASE_URL, secret);
    let password = reader.optional(&setting::DATABASE_PASSWORD, secret);
    Some(DatabaseSettings { url: url?, password: password? })
}

/// Address on which the server listens.
fn listen(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    reader.value(&setting::GRPC_LISTEN, parse::address)
}

/// Time for which events are kept.
fn event_window(reader: &mut Reader<'_>) -> Option<Duration> {
    reader.value(&setting::EVENT_WINDOW, |raw| parse::span(raw, &setting::EVENT_WINDOW))
}

/// Time between two readings of a profile.
fn profile_every(reader: &mut Reader<'_>) -> Option<Duration> {
    reader.value(&setting::PROFILE_EVERY, |raw| parse::span(raw, &setting::PROFILE_EVERY))
}

/// File of the callers. It is checked when it is opened.
#[expect(clippy::option_option, reason = "the outer says whether it is right")]
fn callers_file(reader: &mut Reader<'_>) -> Option<Option<PathBuf>> {
    reader.optional(&setting::CALLERS_FILE, |raw| Ok::<_, Infallible>(raw.into()))
}
