//! Cost of a claim of due accounts, among few and among many, on each store.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::PROFILE;
use crate::console::{self, Step};
use crate::process;
use crate::up::stack::APP_ID;
use crate::workspace::Workspace;

/// Measures on SQLite, then on the empty server of this URL.
pub(super) fn run(workspace: &Workspace, server: &str, accounts: u32) -> Result<()> {
    let folder = workspace.target().join("bench").join("claims");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let file = format!("sqlite://{}?mode=rwc", folder.join("accounts.db").display());
    measure(workspace, "SQLite", &file, accounts)?;
    measure(workspace, "PostgreSQL", server, accounts)
}

fn measure(workspace: &Workspace, name: &str, url: &str, accounts: u32) -> Result<()> {
    let step = Step::begin(format!("{name}: claims among {accounts} accounts"));
    let program = workspace.target().join(PROFILE).join("examples").join("claim_accounts");
    let output = process::output(Command::new(program).args([url, APP_ID, &accounts.to_string()]))?;
    step.done();
    console::say(format_args!("\n{name}, claims of 16                     p50         p99"));
    console::say(output);
    Ok(())
}
