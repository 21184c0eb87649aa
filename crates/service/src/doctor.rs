//! Looks for what would keep `serve` from serving, or links, renewals and webhooks from working: in settings, files, keys
//! and the database, at Instagram and at the public URL. Writes nothing.

mod callbacks;
mod clock;
mod database;
mod instagram;
mod urls;

use std::fmt::Display;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use ig_adapters::instagram::Probe;
use ig_adapters::persistence::{Database, SeaOrmStore};
use ig_adapters::sealing::{KeyFile, KeyFileError, KeyRing};
use ig_domain::LongLivedToken;
use ig_domain::ports::{Clock, StoreError};
use time::OffsetDateTime;

use crate::config::setting::{self, Setting};
use crate::config::{Flags, InvalidSettings, Problem, ServeConfig, Settings, Variables};
use crate::output::is_read_on;
use crate::tls::FollowedTls;
use crate::{serve, wiring};

use self::database::Examined;

pub(crate) use self::urls::dead_authorize_host;

/// Something that was found.
enum Finding {
    /// It keeps `serve` from serving, or links, renewals or webhooks from working.
    Error(InvalidSettings),
    /// It may be wrong, or could not be checked.
    Warning(Problem),
}

impl Finding {
    /// Something wrong. `text` continues the variable's name, and says what to do.
    fn error(setting: &Setting, text: &dyn Display) -> Self {
        Self::Error(InvalidSettings::with_remedy(setting, text))
    }

    /// Something that may be wrong. `text` continues the variable's name, and says what to do.
    fn warning(setting: &Setting, text: &dyn Display) -> Self {
        Self::Warning(Problem::warning(setting, text))
    }
}

/// Findings so far.
#[derive(Default)]
struct Findings {
    errors: Vec<InvalidSettings>,
    warnings: Vec<Problem>,
}

/// Writes a line for each finding to `out`, each beginning with its setting or with `clock`. `FAILURE` where `serve`
/// would not start or not serve, or where links, renewals or webhooks would fail.
///
/// # Errors
///
/// When nothing can be written.
pub(crate) async fn run(
    flags: &Flags<ServeConfig>,
    variables: &Variables,
    offline: bool,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let mut findings = Findings::default();
    match flags.read(variables) {
        Ok(Settings { config, warnings, .. }) => {
            findings.warnings = warnings;
            Box::pin(findings.examine(config, offline)).await;
        }
        Err(invalid) => findings.errors.push(invalid),
    }
    Ok(findings.write(flags, variables, out)?)
}

impl Findings {
    async fn examine(&mut self, mut config: ServeConfig, offline: bool) {
        self.addresses(&config);
        self.note(callers(&config));
        let tls = FollowedTls::start(config.tls.clone()).await;
        self.note(tls.map(drop).map_err(InvalidSettings::from));
        let database = serve::open_read_only(&config);
        let ring = database.as_ref().ok().and_then(|database| key_ring(&mut config, database));
        if let Some(Err(error)) = &ring
            && !matches!(error, KeyFileError::Missing(_))
        {
            self.note(Err(unusable_keys(error)));
        }
        let unwritable = database.as_ref().ok().and_then(Database::unwritable_file);
        self.note(unwritable.map_or(Ok(()), |obstacle| Err(database::unwritable(&obstacle))));
        self.add(urls::examine(&config));
        self.add(callbacks::examine_settings(&config));
        match database {
            Ok(database) if !offline => Box::pin(self.ask(&config, database, ring)).await,
            database => self.note(database.map(drop)),
        }
    }

    /// Asks the database and the sandbox's clock, and then Instagram and the public URL at the same time.
    async fn ask(
        &mut self,
        config: &ServeConfig,
        database: Database,
        ring: Option<Result<KeyRing, KeyFileError>>,
    ) {
        let clock = self.found(clock(config.sandbox_clock_url.as_deref()).await);
        let examined = self.found(database::examine(config, database, ring).await);
        let store = examined.map(|Examined { warning, store }| {
            self.warnings.extend(warning);
            store
        });
        let tokens = match (store, clock) {
            (Some(store), Some(clock)) => self.stored(config, store.as_ref(), clock.now()).await,
            _ => Vec::new(),
        };
        let probe = match Probe::new(config.instagram.clone()) {
            Ok(probe) => probe,
            Err(error) => return self.add([instagram::no_client(&error)]),
        };
        let (instagram, public_url) = tokio::join!(
            instagram::examine(&probe, &tokens),
            callbacks::examine_public_url(config, &probe)
        );
        self.add(instagram);
        self.add(public_url);
    }

    /// Looks at what is stored, and returns tokens by which Instagram can be asked.
    async fn stored(
        &mut self,
        config: &ServeConfig,
        store: Option<&SeaOrmStore>,
        now: OffsetDateTime,
    ) -> Vec<LongLivedToken> {
        let found = match store {
            Some(store) => examine_stored(config, store, now).await,
            None => Ok((Vec::new(), Vec::new())),
        };
        let found = self.found(found.map_err(|error| database::away(&error)));
        let Some((findings, tokens)) = found else { return Vec::new() };
        self.add(findings);
        if tokens.is_empty() {
            self.add([instagram::unchecked_secret()]);
        }
        tokens
    }

    fn addresses(&mut self, config: &ServeConfig) {
        self.listening(&setting::GRPC_LISTEN, config.listen);
        if let Some(address) = config.metrics_listen {
            self.listening(&setting::METRICS_LISTEN, address);
        }
        if let Some(callbacks) = &config.callbacks {
            self.listening(&setting::HTTP_LISTEN, callbacks.listen);
        }
    }

    /// Tries to listen on an address. One that is taken may be taken by the very server that is looked after.
    fn listening(&mut self, setting: &'static Setting, address: SocketAddr) {
        match TcpListener::bind(address) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let text = format_args!(
                    "is {address}, which is taken: if not by a running `serve`, choose another"
                );
                self.warnings.push(Problem::warning(setting, &text));
            }
            Err(error) => {
                let text = format_args!(
                    "is {address}, which cannot be listened on ({error}): choose an address of this machine"
                );
                self.note(Err(InvalidSettings::with_remedy(setting, &text)));
            }
        }
    }

    fn note(&mut self, found: Result<(), InvalidSettings>) {
        self.errors.extend(found.err());
    }

    /// What was found, where that is no error.
    fn found<T>(&mut self, found: Result<T, InvalidSettings>) -> Option<T> {
        found.map_err(|error| self.errors.push(error)).ok()
    }

    fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            match finding {
                Finding::Error(error) => self.errors.push(error),
                Finding::Warning(warning) => self.warnings.push(warning),
            }
        }
    }

    fn write(
        self,
        flags: &Flags<ServeConfig>,
        variables: &Variables,
        out: &mut dyn Write,
    ) -> io::Result<ExitCode> {
        let Self { errors, mut warnings } = self;
        let code = if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        let mut lines = Vec::new();
        for invalid in errors {
            let (problems, more) = flags.located_settings(invalid, variables).into_parts();
            warnings.extend(more);
            lines.extend(problems.iter().map(|problem| problem.marked("error")));
        }
        lines.extend(warnings.iter().map(|warning| warning.marked("warning")));
        for line in lines {
            if !is_read_on(writeln!(out, "{line}"))? {
                break;
            }
        }
        Ok(code)
    }
}

fn callers(config: &ServeConfig) -> Result<(), InvalidSettings> {
    let Some(path) = &config.callers_file else { return Ok(()) };
    let stanzas = ig_adapters::callers::stanzas(path);
    stanzas.map(drop).map_err(|error| InvalidSettings::callers_file(path, &error))
}

/// The keys: those of the settings or, where they have none, of the key file.
fn key_ring(
    config: &mut ServeConfig,
    database: &Database,
) -> Option<Result<KeyRing, KeyFileError>> {
    let configured = config.token_keys.take().map(Ok);
    configured.or_else(|| {
        let file = KeyFile::load_or_create(&database.key_file()?, false);
        Some(file.map(|file| file.ring))
    })
}

/// Findings in what is stored, and living tokens.
async fn examine_stored(
    config: &ServeConfig,
    store: &SeaOrmStore,
    now: OffsetDateTime,
) -> Result<(Vec<Finding>, Vec<LongLivedToken>), StoreError> {
    let tokens = store.living_tokens(now).await?;
    let mut findings = callbacks::examine_webhooks(config, store, now).await?;
    findings.extend(database::examine_visits(store, now).await?);
    Ok((findings, tokens))
}

fn unusable_keys(error: &KeyFileError) -> InvalidSettings {
    let text = format_args!("is not given, and {}", chain(error));
    InvalidSettings::with_remedy(&setting::TOKEN_KEYS, &text)
}

/// The clock of the settings.
async fn clock(sandbox_url: Option<&str>) -> Result<Arc<dyn Clock>, InvalidSettings> {
    wiring::clock(sandbox_url).await.map_err(|error| {
        let text = format!("gives no time ({error:#}): start the sandbox, or leave it out");
        InvalidSettings::with_remedy(&setting::SANDBOX_CLOCK_URL, &text)
    })
}

fn chain(error: &(impl std::error::Error + 'static)) -> String {
    let causes =
        std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
