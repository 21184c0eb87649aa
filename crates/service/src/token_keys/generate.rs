//! Makes a sealing key.

use std::process::ExitCode;

use anyhow::Context as _;
use ig_adapters::sealing::KeyRing;
use ig_domain::ports::{Clock, Ids};
use secrecy::ExposeSecret as _;

use crate::caller::Outputs;

/// Prints an entry for `TOKEN_KEYS`, whose id has the day and random digits, and how to roll it out.
///
/// # Errors
///
/// When there is no randomness, or nothing can be written.
pub(crate) fn generate(
    clock: &dyn Clock,
    ids: &dyn Ids,
    outputs: &mut Outputs<'_>,
) -> anyhow::Result<ExitCode> {
    let id = format!("{}-{:08x}", clock.now().date(), ids.draw());
    let entry = KeyRing::new_entry(&id).context("no key could be made")?;
    writeln!(outputs.out, "{}", entry.expose_secret())?;
    writeln!(
        outputs.err,
        "
A sealing key was made, as an entry for TOKEN_KEYS. Keep it in your secret manager, apart from the
database: what is sealed under it opens by no other key. As the first key of a new database it is the
whole of TOKEN_KEYS. To let it follow another one:

1. Give every replica TOKEN_KEYS=OLD,{id}:… and restart it.
2. When all have restarted, give every replica TOKEN_KEYS={id}:…,OLD and restart it.
3. When all have restarted, run `instagram-accounts keys rotate` with the same TOKEN_KEYS.
4. When `instagram-accounts keys status` says that the database does not need the old key, give
   every replica TOKEN_KEYS={id}:… alone. Keep the old key for as long as the backups that need it."
    )?;
    Ok(ExitCode::SUCCESS)
}
