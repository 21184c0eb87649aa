//! Audit entries as a table for people, or as lines of JSON for programs.

use std::io::{self, Write};

use ig_domain::AuditEntry;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const COLUMNS: usize = 7;

const HEADER: [&str; COLUMNS] =
    ["TIME", "CALLER", "ACCOUNT_ID", "OWNER", "TOKEN_ISSUE_TIME", "PURPOSE", "REQUEST_ID"];

/// A table that is written page by page. Its columns grow with what they hold.
pub(super) struct Table {
    widths: [usize; COLUMNS],
    begun: bool,
}

impl Table {
    /// A table of which nothing is written yet.
    pub(super) fn new() -> Self {
        Self { widths: [0; COLUMNS], begun: false }
    }

    /// Writes these entries, below a header where they are the first.
    pub(super) fn write(&mut self, entries: &[AuditEntry], out: &mut dyn Write) -> io::Result<()> {
        let header = (!self.begun).then(|| HEADER.map(str::to_owned));
        self.begun = true;
        let rows: Vec<_> = header.into_iter().chain(entries.iter().map(row)).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in rows {
            let cells = row.iter().zip(self.widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

fn row(entry: &AuditEntry) -> [String; COLUMNS] {
    [
        moment(entry.time),
        plain(entry.caller.as_str()),
        entry.account.to_string(),
        plain(entry.owner.as_str()),
        moment(entry.token_issue_time),
        plain(entry.purpose.as_str()),
        plain(entry.request_id.as_str()),
    ]
}

/// Text of callers as it can be shown in a row: what would turn the line around or hide is written out.
fn plain(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let hidden = |character: char| {
        let turns =
            matches!(character, '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if hidden(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Writes each entry whole, as a line of JSON.
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
        let line = json!({
            "id": id.to_string(),
            "time": moment(*time),
            "caller": caller.as_str(),
            "purpose": purpose.as_str(),
            "request_id": request_id.as_str(),
            "account_id": account.to_string(),
            "professional_account_id": professional_account_id.as_str(),
            "owner": owner.as_str(),
            "token_issue_time": moment(*token_issue_time),
            "token_expire_time": moment(*token_expire_time),
            "revision": revision,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn moment(moment: OffsetDateTime) -> String {
    // Only years that the store cannot keep have no such form.
    moment.format(&Rfc3339).unwrap_or_default()
}
