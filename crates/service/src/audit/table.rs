//! Audit entries as a table for people, or as lines of JSON for programs.

use std::io::{self, Write};

use ig_domain::{AccountId, AuditEntry};
use serde_json::json;

use crate::columns::{Columns, moment, plain};

const HEADER: [&str; 7] =
    ["TIME", "CALLER", "ACCOUNT_ID", "OWNER", "TOKEN_ISSUE_TIME", "PURPOSE", "REQUEST_ID"];

/// A table that is written page by page.
pub(super) struct Table(Columns<7>);

impl Table {
    /// A table of which nothing is written yet.
    pub(super) fn new() -> Self {
        Self(Columns::new(HEADER))
    }

    /// Writes these entries, below a header where they are the first.
    pub(super) fn write(&mut self, entries: &[AuditEntry], out: &mut dyn Write) -> io::Result<()> {
        self.0.write(entries.iter().map(row).collect(), out)
    }
}

fn row(entry: &AuditEntry) -> [String; 7] {
    [
        moment(entry.time),
        plain(entry.caller.as_str()),
        account(entry.account),
        plain(entry.owner.as_str()),
        entry.token_issue_time.map_or_else(|| "-".to_owned(), moment),
        plain(entry.purpose.as_str()),
        plain(entry.request_id.as_str()),
    ]
}

/// The account's id; nil is what stays where a person had the data deleted.
fn account(id: AccountId) -> String {
    if id.as_uuid().is_nil() { "deleted".to_owned() } else { id.to_string() }
}

/// Writes each entry whole, as a line of JSON. The ids of an account whose person had the data deleted are `null`.
pub(super) fn write_json(entries: &[AuditEntry], out: &mut dyn Write) -> io::Result<()> {
    for entry in entries {
        let AuditEntry {
            id,
            time,
            caller,
            purpose,
            request_id,
            account,
            professional_account_id,
            owner,
            token_issue_time,
            token_expire_time,
            revision,
        } = entry;
        let is_deleted = account.as_uuid().is_nil();
        let line = json!({
            "id": id.to_string(),
            "time": moment(*time),
            "caller": caller.as_str(),
            "purpose": purpose.as_str(),
            "request_id": request_id.as_str(),
            "account_id": (!is_deleted).then(|| account.to_string()),
            "professional_account_id": (!is_deleted).then(|| professional_account_id.as_str()),
            "owner": owner.as_str(),
            "token_issue_time": token_issue_time.map(moment),
            "token_expire_time": token_expire_time.map(moment),
            "revision": revision,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
