//! The settings: read once, checked together, before anything else happens.

mod flags;
mod parse;
mod reader;
mod setting;
#[cfg(test)]
mod tests;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ig_adapters::instagram::{BaseUrl, GraphApiSettings};
use ig_adapters::persistence::DatabaseSettings;
use ig_adapters::sealing::KeyRing;
use ig_domain::{AppId, RedirectUri};
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

pub(crate) use self::flags::Flags;
pub(crate) use self::reader::{InvalidSettings, Reader};
pub(crate) use self::tls::variable as tls_variable;
use crate::tls::TlsFiles;

/// What `serve` needs.
pub(crate) struct ServeConfig {
    /// Which Meta app speaks, and where Instagram is.
    pub(crate) instagram: GraphApiSettings,
    /// The database.
    pub(crate) database: DatabaseSettings,
    /// The keys that seal tokens; `None` for a key file beside the database.
    pub(crate) token_keys: Option<KeyRing>,
    /// Whether the start migrates a database that other processes share.
    pub(crate) migrate_on_start: bool,
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Who may call; `None` for everybody.
    pub(crate) callers_file: Option<PathBuf>,
    /// The files of TLS; `None` for none.
    pub(crate) tls: Option<TlsFiles>,
    /// Where to answer probes and collectors; `None` for nowhere.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// The redirect URIs that may be used; empty for any.
    pub(crate) redirect_uris: Vec<RedirectUri>,
    /// How long a state lives.
    pub(crate) state_ttl: Duration,
    /// How long a stop waits for what is under way.
    pub(crate) shutdown_timeout: Duration,
    /// Whether reflection is served.
    pub(crate) reflection: bool,
    /// Where business time comes from; `None` for the machine's clock.
    pub(crate) sandbox_clock_url: Option<String>,
}

impl ServeConfig {
    /// Reads all settings of `serve`.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] names every setting that cannot be used.
    pub(crate) fn read(mut reader: Reader<'_>) -> Result<Self, InvalidSettings> {
        let config = Self::read_all(&mut reader);
        reader.finish(config)
    }

    /// Every setting is read before the first missing one ends it, so that all that is wrong is told at once.
    fn read_all(reader: &mut Reader<'_>) -> Option<Self> {
        let instagram = instagram(reader);
        let sandbox_clock_url = reader.optional(&setting::SANDBOX_CLOCK_URL, parse::clock_url);
        let database = database(reader);
        let token_keys = reader.optional(&setting::TOKEN_KEYS, parse::key_ring);
        let migrate_on_start = reader.value(&setting::MIGRATE_ON_START, parse::boolean);
        let listen = listen(reader);
        let callers_file = callers_file(reader);
        let allow_anonymous = reader.value(&setting::ALLOW_ANONYMOUS, parse::boolean);
        let tls = tls::files(reader);
        let metrics_listen = reader.value(&setting::METRICS_LISTEN, parse::address_or_none);
        let redirect_uris = reader.optional(&setting::REDIRECT_URIS, parse::redirect_uris);
        let state_ttl = reader.value(&setting::STATE_TTL, parse::state_ttl);
        let shutdown_timeout = reader.value(&setting::SHUTDOWN_TIMEOUT, parse::shutdown_timeout);
        let reflection = reader.value(&setting::REFLECTION, parse::boolean);
        let config = Self {
            instagram: instagram?,
            database: database?,
            token_keys: token_keys?,
            migrate_on_start: migrate_on_start?,
            listen: listen?,
            callers_file: callers_file?,
            tls: tls?,
            metrics_listen: metrics_listen?,
            redirect_uris: redirect_uris?.unwrap_or_default(),
            state_ttl: state_ttl?,
            shutdown_timeout: shutdown_timeout?,
            reflection: reflection?,
            sandbox_clock_url: sandbox_clock_url?,
        };
        if config.sandbox_clock_url.is_some() && !is_sandbox(&config.instagram) {
            let problem =
                "is refused unless every Instagram URL is plain http, as the sandbox's are";
            reader.refuse(&setting::SANDBOX_CLOCK_URL, problem);
        }
        if config.callers_file.is_none() && !config.listen.ip().is_loopback() && !allow_anonymous? {
            let problem = "is required where GRPC_LISTEN is not loopback, or ALLOW_ANONYMOUS=true to let \
                           everybody who reaches it do everything";
            reader.refuse(&setting::CALLERS_FILE, problem);
        }
        Some(config)
    }
}

fn instagram(reader: &mut Reader<'_>) -> Option<GraphApiSettings> {
    let app_id = reader.value(&setting::APP_ID, parse::app_id);
    let app_secret = reader.value(&setting::APP_SECRET, parse::app_secret);
    let insecure = reader.value(&setting::INSECURE_HTTP, parse::boolean);
    let mut url =
        |setting| reader.value(setting, |raw| BaseUrl::parse(raw, insecure.unwrap_or_default()));
    let authorize_url = url(&setting::AUTHORIZE_URL);
    let api_url = url(&setting::API_URL);
    let graph_url = url(&setting::GRAPH_URL);
    Some(GraphApiSettings {
        app_id: app_id?,
        app_secret: app_secret?,
        authorize_url: authorize_url?,
        api_url: api_url?,
        graph_url: graph_url?,
    })
}

/// Instagram itself is https only.
fn is_sandbox(instagram: &GraphApiSettings) -> bool {
    let GraphApiSettings { authorize_url, api_url, graph_url, .. } = instagram;
    [authorize_url, api_url, graph_url].into_iter().all(BaseUrl::is_plain_http)
}

/// The database. Whoever opens it checks the URL.
fn database(reader: &mut Reader<'_>) -> Option<DatabaseSettings> {
    let secret = |raw: &str| Ok::<_, Infallible>(SecretString::from(raw));
    let url = reader.value(&setting::DATABASE_URL, secret);
    let password = reader.optional(&setting::DATABASE_PASSWORD, secret);
    Some(DatabaseSettings { url: url?, password: password? })
}

/// Where the server listens.
fn listen(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    reader.value(&setting::GRPC_LISTEN, parse::address)
}

/// Who may call. Whoever opens the file checks it.
#[expect(clippy::option_option, reason = "the outer says whether it is right")]
fn callers_file(reader: &mut Reader<'_>) -> Option<Option<PathBuf>> {
    reader.optional(&setting::CALLERS_FILE, |raw| Ok::<_, Infallible>(raw.into()))
}

/// What `caller` needs: the file, if one is named.
///
/// # Errors
///
/// [`InvalidSettings`].
pub(crate) fn read_callers_file(
    mut reader: Reader<'_>,
) -> Result<Option<PathBuf>, InvalidSettings> {
    let file = callers_file(&mut reader);
    reader.finish(file)
}

/// What `migrate` needs: the database.
///
/// # Errors
///
/// [`InvalidSettings`].
pub(crate) fn read_database(mut reader: Reader<'_>) -> Result<DatabaseSettings, InvalidSettings> {
    let database = database(&mut reader);
    reader.finish(database)
}

/// What `audit` needs.
pub(crate) struct AuditConfig {
    /// The database.
    pub(crate) database: DatabaseSettings,
    /// Whose entries are shown; `None` for those of every app.
    pub(crate) app_id: Option<AppId>,
}

impl AuditConfig {
    /// Reads the settings of `audit`.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] names every setting that cannot be used.
    pub(crate) fn read(mut reader: Reader<'_>) -> Result<Self, InvalidSettings> {
        let database = database(&mut reader);
        let app_id = reader.optional(&setting::APP_ID, parse::app_id);
        let config = database.zip(app_id);
        reader.finish(config.map(|(database, app_id)| Self { database, app_id }))
    }
}

/// What `healthcheck` needs: where the server listens, and whether it speaks TLS.
///
/// # Errors
///
/// [`InvalidSettings`].
pub(crate) fn read_server(mut reader: Reader<'_>) -> Result<(SocketAddr, bool), InvalidSettings> {
    let listen = listen(&mut reader);
    let tls = tls::certificate(&mut reader).map(|certificate| certificate.is_some());
    reader.finish(listen.zip(tls))
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
pub(crate) struct LogConfig {
    /// How a line looks.
    pub(crate) format: LogFormat,
    /// What is logged.
    pub(crate) filter: EnvFilter,
}

impl LogConfig {
    /// Reads the settings of logging.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] names every setting that cannot be used.
    pub(crate) fn read(mut reader: Reader<'_>) -> Result<Self, InvalidSettings> {
        let format = reader.value(&setting::LOG_FORMAT, parse::log_format);
        let filter = reader.value(&setting::RUST_LOG, parse::log_filter);
        let config = format.zip(filter).map(|(format, filter)| Self { format, filter });
        reader.finish(config)
    }
}
