//! What is sealed under each key, and what that means, for people.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use ig_application::KeyUse;
use ig_domain::ports::SealedKind;
use time::OffsetDateTime;

use crate::columns::{Columns, moment};

const HEADER: [&str; 7] =
    ["KEY", "STATE", "TOKENS", "SHORT_LIVED_TOKENS", "HOSTED_CODES", "USER_KEY", "PAYLOADS"];

/// What is sealed.
pub(super) struct Report {
    /// Ids of the configured keys, the first of which seals.
    pub(super) configured: Vec<String>,
    /// What is sealed under each key.
    pub(super) sealed: BTreeMap<String, KeyUse>,
    /// Time for which payloads of webhooks are kept.
    pub(super) event_window: Duration,
    /// The moment at which counting ended.
    pub(super) time: OffsetDateTime,
}

impl Report {
    /// Writes a row for each key, then a line for each key but the first.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let unused = KeyUse::default();
        let used = |key: &String| self.sealed.get(key).unwrap_or(&unused);
        let missing = self.sealed.keys().filter(|key| !self.configured.contains(key));
        let keys: Vec<_> = self.configured.iter().chain(missing).collect();
        let rows = keys.iter().map(|key| self.row(key, used(key)));
        Columns::new(HEADER).write(rows.collect(), out)?;
        writeln!(out)?;
        for key in keys {
            if let Some(line) = self.line(key, used(key)) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }

    fn row(&self, key: &str, used: &KeyUse) -> [String; 7] {
        let state = match self.configured.iter().position(|id| id == key) {
            Some(0) => "first",
            Some(_) => "opens",
            None => "missing",
        };
        let number = |kind| used.secrets.get(&kind).copied().unwrap_or_default().to_string();
        [
            key.to_owned(),
            state.to_owned(),
            number(SealedKind::Token),
            number(SealedKind::ShortLivedToken),
            number(SealedKind::HostedCode),
            number(SealedKind::UserKey),
            used.payloads.to_string(),
        ]
    }

    /// What is to be said of a key; `None` of the first.
    fn line(&self, key: &String, used: &KeyUse) -> Option<String> {
        if self.configured.first() == Some(key) {
            return None;
        }
        let is_configured = self.configured.contains(key);
        let payloads_end = used.newest_payload_time.map(|time| moment(time + self.event_window));
        let says = match (is_configured, used.total(), payloads_end) {
            (true, 1.., _) => {
                "the database needs it; `keys rotate` seals anew what is under it".to_owned()
            }
            (true, 0, Some(end)) => format!(
                "the database needs it until {end}, for payloads of webhooks; backups made before then may for longer"
            ),
            (_, 0, None) => format!(
                "the database does not need it; if it was ever first, backups made before {} may",
                moment(self.time)
            ),
            (false, 1.., _) => {
                "what is under it does not open: put it into TOKEN_KEYS again, behind the first"
                    .to_owned()
            }
            (false, 0, Some(end)) => format!(
                "payloads of webhooks under it are told empty until {end}: put it into TOKEN_KEYS again, behind the first"
            ),
        };
        Some(format!("{key}: {says}"))
    }
}
