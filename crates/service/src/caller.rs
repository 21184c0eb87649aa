//! The commands `caller …`: make bearer tokens and say or write what the server needs of them, show who may call, and
//! take a caller out.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use ig_adapters::callers::{Edit, EditError, Stanza};
use ig_adapters::system::RandomIds;
use ig_domain::BearerToken;

use crate::columns::{Columns, plain};
use crate::config::{InvalidSettings, shown_path};
use crate::output::is_read_on;

const HEADER: [&str; 6] = ["NAME", "ROLES", "OWNERS", "TOKENS", "EXPIRES", "MAX_IN_FLIGHT"];

const EXIT_CODES: &str = "Exit codes:
  0  it is done
  1  it is not, and the file is as it was
  2  a flag or a setting cannot be used";

/// What to do with callers.
#[derive(Subcommand)]
pub(crate) enum CallerCommand {
    /// Makes a bearer token for a new caller, and prints it once with the stanza for `CALLERS_FILE`
    #[command(after_help = EXIT_CODES)]
    Add(NewCaller),
    /// Makes one more bearer token for a caller that is there, so that the former one can be replaced
    #[command(after_help = EXIT_CODES)]
    Token {
        /// Its name
        name: String,
        /// Put the token's hash into `CALLERS_FILE`; a running server takes it within two seconds
        #[arg(long)]
        write: bool,
    },
    /// Shows who may call, as `CALLERS_FILE` has it; of tokens only how many there are
    #[command(after_help = EXIT_CODES)]
    List,
    /// Takes a caller out of `CALLERS_FILE`; a running server refuses it within two seconds
    ///
    /// Its stanza goes, with the blank lines behind it. Everything else stays as it is, comments too.
    #[command(after_help = EXIT_CODES)]
    Remove {
        /// Its name
        name: String,
    },
}

/// A caller to be.
#[derive(Args)]
pub(crate) struct NewCaller {
    /// Its name: printable ASCII without blanks; under mutual TLS a DNS name or URI of its certificate
    name: String,
    /// A role of it: read, link, token, webhook or admin (everything); repeat it for several
    #[arg(long = "role", required = true)]
    roles: Vec<String>,
    /// An owner of the accounts that it may see, or a beginning with a * behind it ('shop/*'; '*' is everybody);
    /// repeat it for several
    #[arg(long = "owner", required = true)]
    owners: Vec<String>,
    /// The time at which it ends, such as 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// The maximum number of its calls under way at once
    #[arg(long, value_name = "CALLS")]
    max_in_flight: Option<u32>,
    /// Append the stanza to `CALLERS_FILE`; a running server takes it within two seconds
    #[arg(long)]
    write: bool,
}

/// Outputs of a command: standard output holds what is to be kept, standard error what is to be read.
pub(crate) struct Outputs<'a> {
    /// The token, and without `--write` the text that belongs into the file; or the list of callers.
    pub(crate) out: &'a mut dyn Write,
    /// Words around it.
    pub(crate) err: &'a mut dyn Write,
}

/// Runs the command. `file` is `CALLERS_FILE`, needed for all but showing a new token.
///
/// # Errors
///
/// When it cannot be done; then the file is as it was.
pub(crate) fn run(
    command: CallerCommand,
    file: Option<PathBuf>,
    outputs: &mut Outputs<'_>,
) -> anyhow::Result<()> {
    let token = || RandomIds.bearer_token();
    match command {
        CallerCommand::Add(new) => add(new, file, &token(), outputs),
        CallerCommand::Token { name, write } => another(&name, write, file, &token(), outputs),
        CallerCommand::List => list(&named(file, "is required")?, outputs),
        CallerCommand::Remove { name } => remove(&name, &named(file, "is required")?, outputs),
    }
}

fn list(file: &Path, outputs: &mut Outputs<'_>) -> anyhow::Result<()> {
    let stanzas = ig_adapters::callers::stanzas(file);
    let stanzas = stanzas.map_err(|error| InvalidSettings::callers_file(file, &error))?;
    let rows = stanzas.into_iter().map(|stanza| {
        let Stanza { name, token_sha256, roles, owners, expire_time, max_in_flight } = stanza;
        let owners: Vec<_> = owners.iter().map(|owner| plain(owner)).collect();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            name,
            roles.join(","),
            owners.join(","),
            token_sha256.map_or(0, |tokens| tokens.len()).to_string(),
            or_none(expire_time.map(|time| time.to_string())),
            or_none(max_in_flight.map(|calls| calls.to_string())),
        ]
    });
    is_read_on(Columns::new(HEADER).write(rows.collect(), outputs.out))?;
    Ok(())
}

fn remove(name: &str, file: &Path, outputs: &mut Outputs<'_>) -> anyhow::Result<()> {
    let removed = Edit::without_caller(file, name).and_then(Edit::commit);
    removed.map_err(|error| failed(file, error))?;
    Ok(writeln!(
        outputs.err,
        "{name} is no longer in {}; running servers refuse it within two seconds.",
        file.display()
    )?)
}

fn add(
    new: NewCaller,
    file: Option<PathBuf>,
    token: &BearerToken,
    outputs: &mut Outputs<'_>,
) -> anyhow::Result<()> {
    let NewCaller { name, roles, owners, expires, max_in_flight, write } = new;
    let expire_time = expires.map(|time| time.parse());
    let expire_time =
        expire_time.transpose().ok().context("--expires is no time, like 2027-01-01T00:00:00Z")?;
    let stanza = Stanza { name, token_sha256: None, roles, owners, expire_time, max_in_flight };
    let stanza = stanza.with_token(&token.hash());
    let text = stanza.to_toml().map_err(|error| anyhow!("{}", error.problem()))?;
    if write {
        let file = named(file, "is required with --write")?;
        let refused = |error| match error {
            EditError::Exists => anyhow!(
                "CALLERS_FILE has a caller {0} already; `caller token {0} --write` gives it one more token",
                stanza.name
            ),
            error => failed(&file, error),
        };
        let edit = Edit::of_caller(&file, &stanza).map_err(refused)?;
        return put(edit, &file, &stanza.name, token, outputs);
    }
    print(&stanza.name, token, outputs)?;
    writeln!(outputs.err, "\nThe stanza for CALLERS_FILE:\n")?;
    Ok(write!(outputs.out, "{text}")?)
}

fn another(
    name: &str,
    write: bool,
    file: Option<PathBuf>,
    token: &BearerToken,
    outputs: &mut Outputs<'_>,
) -> anyhow::Result<()> {
    if write {
        let file = named(file, "is required with --write")?;
        let edit = Edit::of_token(&file, name, &token.hash());
        let edit = edit.map_err(|error| failed(&file, error))?;
        put(edit, &file, name, token, outputs)?;
        return Ok(());
    }
    print(name, token, outputs)?;
    writeln!(outputs.err, "\nPut its hash beside the former one, into token_sha256 of {name}:\n")?;
    Ok(writeln!(outputs.out, "{}", token.hash().to_hex())?)
}

/// The file of callers; `problem` says why there must be one.
fn named(file: Option<PathBuf>, problem: &str) -> Result<PathBuf, InvalidSettings> {
    file.ok_or_else(|| InvalidSettings::no_callers_file(problem))
}

fn failed(file: &Path, error: EditError) -> anyhow::Error {
    let file = shown_path(file);
    anyhow::Error::new(error).context(format!("CALLERS_FILE ({file}) was not changed"))
}

/// Shows the token, and only then writes its hash to the file.
fn put(
    edit: Edit,
    file: &Path,
    name: &str,
    token: &BearerToken,
    outputs: &mut Outputs<'_>,
) -> anyhow::Result<()> {
    print(name, token, outputs)?;
    edit.commit().map_err(|error| failed(file, error).context("the token shown is of no use"))?;
    Ok(writeln!(
        outputs.err,
        "\n{} has its hash; running servers take it within two seconds.",
        file.display()
    )?)
}

fn print(name: &str, token: &BearerToken, outputs: &mut Outputs<'_>) -> anyhow::Result<()> {
    writeln!(
        outputs.err,
        "The token of {name}, shown only here; it is sent as `authorization: Bearer TOKEN`:\n"
    )?;
    writeln!(outputs.out, "{}", token.expose())?;
    Ok(outputs.out.flush()?)
}

#[cfg(test)]
mod tests;
