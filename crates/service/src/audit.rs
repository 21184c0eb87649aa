//! Says who was handed which token, when, and what for.

mod table;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Args;
use ig_adapters::persistence::Database;
use ig_domain::ports::AuditPage;
use ig_domain::{AccountId, CallerName, Owner};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::table::{Table, write_json};
use crate::config::{AuditConfig, InvalidSettings};
use crate::output::is_read_on;

/// Maximum number of entries that are held at once.
const PAGE_SIZE: u64 = 500;

/// The entries to show, and their form.
#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    /// Only tokens of this account, by its `account_id`
    #[arg(long, value_name = "UUID")]
    account: Option<AccountId>,
    /// Only tokens handed to this caller
    #[arg(long, value_name = "NAME")]
    caller: Option<CallerName>,
    /// Only tokens of accounts that were this owner's; empty for those without owner
    #[arg(long)]
    owner: Option<Owner>,
    /// Only tokens handed out since then, such as 2026-11-24T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<OffsetDateTime>,
    /// The maximum number of entries to show
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: u64,
    /// Shows each entry whole, as a line of JSON
    #[arg(long)]
    json: bool,
}

fn moment(raw: &str) -> anyhow::Result<OffsetDateTime> {
    let moment = OffsetDateTime::parse(raw, &Rfc3339);
    moment.map_err(|_| anyhow!("a time is written as 2026-11-24T08:00:00Z"))
}

/// Writes the entries that `args` ask for to `out`, newest first.
///
/// # Errors
///
/// When the URL names no database, or it cannot be read.
pub(crate) async fn run(
    config: &AuditConfig,
    args: AuditArgs,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let database = Database::open(&config.database).map_err(InvalidSettings::from)?;
    let AuditArgs { account, caller, owner, since, limit, json } = args;
    let mut page = AuditPage { account, caller, owner, since, after: None, limit: 0 };
    let mut left = limit;
    let mut table = Table::new();
    loop {
        page.limit = left.min(PAGE_SIZE);
        let entries = database.audit_entries(config.app_id.as_ref(), &page).await;
        let entries = entries.context("the database cannot be asked for its audit")?;
        let written = if json { write_json(&entries, out) } else { table.write(&entries, out) };
        if !is_read_on(written)? {
            break;
        }
        left -= entries.len() as u64;
        let Some(last) = entries.last().filter(|_| entries.len() as u64 == page.limit) else {
            break;
        };
        page.after = Some((last.time, last.id));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
