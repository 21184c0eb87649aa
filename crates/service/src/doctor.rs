//! Looks for what would keep `serve` from serving: in settings, files, keys and the database. Writes nothing.

mod database;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use ig_adapters::persistence::Database;
use ig_adapters::sealing::{KeyFile, KeyFileError};

use crate::config::setting::{self, Setting};
use crate::config::{Flags, InvalidSettings, Problem, ServeConfig, Settings, Variables};
use crate::output::is_read_on;
use crate::tls::FollowedTls;
use crate::{serve, wiring};

/// Findings so far.
#[derive(Default)]
struct Findings {
    errors: Vec<InvalidSettings>,
    warnings: Vec<Problem>,
}

/// Writes a line for each finding to `out`, each beginning with its setting. `FAILURE` where `serve` would not start,
/// or not serve.
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
            findings.examine(&config, offline).await;
        }
        Err(invalid) => findings.errors.push(invalid),
    }
    Ok(findings.write(flags, variables, out)?)
}

impl Findings {
    async fn examine(&mut self, config: &ServeConfig, offline: bool) {
        self.listening(&setting::GRPC_LISTEN, config.listen);
        if let Some(address) = config.metrics_listen {
            self.listening(&setting::METRICS_LISTEN, address);
        }
        if let Some(callbacks) = &config.callbacks {
            self.listening(&setting::HTTP_LISTEN, callbacks.listen);
        }
        self.note(callers(config));
        let tls = FollowedTls::start(config.tls.clone()).await;
        self.note(tls.map(drop).map_err(InvalidSettings::from));
        let database = serve::open_read_only(config);
        let key_file = database.as_ref().ok().and_then(|database| key_file(config, database));
        if let Some(Err(error)) = &key_file
            && !matches!(error, KeyFileError::Missing(_))
        {
            self.note(Err(unusable_keys(error)));
        }
        let database = match database {
            Ok(database) => database,
            Err(invalid) => return self.note(Err(invalid)),
        };
        if let Some(obstacle) = database.unwritable_file() {
            self.note(Err(database::unwritable(&obstacle)));
        }
        if offline {
            return;
        }
        if let Some(url) = &config.sandbox_clock_url {
            self.note(sandbox_clock(url).await);
        }
        match database::examine(config, database, key_file).await {
            Ok(warning) => self.warnings.extend(warning),
            Err(invalid) => self.note(Err(invalid)),
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

/// The key file, where the keys come from one.
fn key_file(config: &ServeConfig, database: &Database) -> Option<Result<KeyFile, KeyFileError>> {
    let path = database.key_file().filter(|_| config.token_keys.is_none())?;
    Some(KeyFile::load_or_create(&path, false))
}

fn unusable_keys(error: &KeyFileError) -> InvalidSettings {
    let text = format_args!("is not given, and {}", chain(error));
    InvalidSettings::with_remedy(&setting::TOKEN_KEYS, &text)
}

async fn sandbox_clock(url: &str) -> Result<(), InvalidSettings> {
    let clock = wiring::clock(Some(url)).await.map(drop);
    clock.map_err(|error| {
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
