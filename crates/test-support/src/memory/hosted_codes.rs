//! Codes of hosted consents.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ig_domain::ports::{HostedCode, HostedCodes, MAX_HOSTED_CODES, StoreError};
use ig_domain::{
    AuthorizationCode, HOSTED_CODE_RETENTION, LINK_RETENTION, StateToken, Ticket, TicketHash,
};
use time::OffsetDateTime;

use super::{MemoryStore, Rows};
use crate::builders::parsed;

pub(super) struct HostedCodeRow {
    ticket: TicketHash,
    kept: HostedCode,
}

/// The ticket of this pair in this app: no secret, but another for each.
fn ticket_of(app: &str, code: &AuthorizationCode, state: &StateToken) -> Ticket {
    let app: AuthorizationCode = parsed(app);
    let (app, code, state) = (app.hash(), code.hash(), state.hash());
    let state = state.as_bytes().iter().rev();
    let pairs = app.as_bytes().iter().zip(code.as_bytes()).zip(state);
    let bytes: Vec<u8> = pairs.map(|((app, code), state)| app ^ code ^ state).collect();
    parsed(&URL_SAFE_NO_PAD.encode(bytes))
}

impl HostedCodeRow {
    /// Erases the code; the ticket stays.
    pub(super) fn erase(&mut self) {
        self.kept.code = None;
    }
}

#[async_trait]
impl HostedCodes for MemoryStore {
    async fn keep(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
        now: OffsetDateTime,
    ) -> Result<Option<Ticket>, StoreError> {
        let ticket = ticket_of(self.app_id.as_str(), code, state);
        self.transact(|rows, _| {
            let of_state = rows.hosted_codes.values().filter(|row| row.kept.state == state.hash());
            let is_kept = rows.hosted_codes.contains_key(&code.hash());
            if !is_kept && of_state.count() as u64 >= MAX_HOSTED_CODES {
                return Ok(None);
            }
            let row = rows.hosted_codes.entry(code.hash()).or_insert_with(|| HostedCodeRow {
                ticket: ticket.hash(),
                kept: HostedCode {
                    state: state.hash(),
                    code: Some(code.clone()),
                    present_time: now,
                },
            });
            Ok((row.ticket == ticket.hash()).then_some(ticket))
        })
    }

    async fn ticket(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
    ) -> Result<Option<Ticket>, StoreError> {
        let ticket = ticket_of(self.app_id.as_str(), code, state);
        let found = HostedCodes::find(self, &ticket.hash()).await?;
        Ok(found.map(|_| ticket))
    }

    async fn find(&self, ticket: &TicketHash) -> Result<Option<HostedCode>, StoreError> {
        self.transact(|rows, _| {
            let found = rows.hosted_codes.values().find(|row| row.ticket == *ticket);
            Ok(found.map(|row| row.kept.clone()))
        })
    }
}

impl Rows {
    /// Erases codes that serve no more, and forgets those that nobody will ask for.
    pub(super) fn sweep_hosted_codes(&mut self, now: OffsetDateTime, limit: usize) -> u64 {
        let past = |row: &HostedCodeRow, span| row.kept.present_time + span <= now;
        let codes = self.hosted_codes.iter().filter(|(_, row)| past(row, LINK_RETENTION));
        let codes: Vec<_> = codes.map(|(code, _)| *code).take(limit).collect();
        for code in &codes {
            self.hosted_codes.remove(code);
        }
        let served =
            |row: &&mut HostedCodeRow| row.kept.code.is_some() && past(row, HOSTED_CODE_RETENTION);
        let served = self.hosted_codes.values_mut().filter(served).take(limit);
        let erased = served.map(HostedCodeRow::erase).count();
        u64::try_from(codes.len() + erased).unwrap_or(u64::MAX)
    }
}
