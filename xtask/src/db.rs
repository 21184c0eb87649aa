//! `cargo xtask db`: a throwaway PostgreSQL.

use anyhow::Result;

use crate::postgres::{self, Postgres};
use crate::{console, process};

/// Starts a server, prints its URL, and serves until Ctrl-C; then its data is gone.
pub(crate) fn run() -> Result<()> {
    let postgres = Postgres::throwaway()?;
    console::say(postgres.url());
    let variable = postgres::VARIABLE;
    console::note(format_args!(
        "tests use it with {variable} set to this URL; Ctrl-C stops it and removes its data"
    ));
    while !process::stop_asked() {
        process::pause();
    }
    Ok(())
}
