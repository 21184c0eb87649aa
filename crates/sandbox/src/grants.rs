//! Codes and tokens: what was issued, to whom, until when, and what ended it early.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::accounts::AccountIndex;
use crate::bounded_map::BoundedMap;
use crate::scope::Scope;
use crate::seed::Seed;

/// Maximum number of codes that are remembered, used ones too.
const MAX_CODES: usize = 20_000;
/// Maximum number of tokens that are remembered, dead ones too: some for each account.
const MAX_TOKENS: usize = 500_000;
/// Lifetime of a code and of a short-lived token.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>.
const SHORT_LIVED_LIFETIME: Duration = Duration::HOUR;

/// Permissions that a person granted, and the account.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) account: AccountIndex,
    pub(crate) scopes: Arc<[Scope]>,
}

/// An authorization code that was handed to a browser.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) grant: Grant,
    pub(crate) redirect_uri: String,
    pub(crate) expires: OffsetDateTime,
    pub(crate) used: bool,
}

/// An access token.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) grant: Grant,
    pub(crate) long_lived: bool,
    pub(crate) issued: OffsetDateTime,
    pub(crate) expires: OffsetDateTime,
    /// Number of tokens that were issued before.
    number: u64,
}

/// Reason for which an unexpired token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    PasswordChanged,
    AppRemoved,
    Checkpoint,
}

/// Change that the control interface makes to the tokens that an account has.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RevokeReason {
    PasswordChanged,
    AppRemoved,
    Checkpoint,
    CheckpointCleared,
}

/// Revocations of an account's tokens: each meets those below the number that the next token had then.
#[derive(Debug, Default)]
struct Revocations {
    /// The last that cannot be undone.
    ended: Option<(u64, Trouble)>,
    checkpoint: u64,
}

/// Every code and token that the sandbox remembers.
pub(crate) struct Grants {
    codes: BoundedMap<Code>,
    tokens: BoundedMap<Token>,
    issued: u64,
    revocations: HashMap<AccountIndex, Revocations>,
}

impl Grants {
    pub(crate) fn new() -> Self {
        Self {
            codes: BoundedMap::new(MAX_CODES),
            tokens: BoundedMap::new(MAX_TOKENS),
            issued: 0,
            revocations: HashMap::new(),
        }
    }

    /// Makes a code that lives for an hour and is good for the given redirect URI only.
    pub(crate) fn issue_code(
        &mut self,
        grant: Grant,
        redirect_uri: String,
        now: OffsetDateTime,
        seed: &mut Seed,
    ) -> String {
        let code = seed.code();
        let expires = now + SHORT_LIVED_LIFETIME;
        self.codes.insert(&code, Code { grant, redirect_uri, expires, used: false });
        code
    }

    /// Makes a token that lives for an hour.
    pub(crate) fn issue_short(
        &mut self,
        grant: Grant,
        now: OffsetDateTime,
        seed: &mut Seed,
    ) -> String {
        self.issue(grant, false, now, SHORT_LIVED_LIFETIME, seed)
    }

    /// Makes a token that lives for almost 60 days from `issued` on, and says for how many seconds.
    pub(crate) fn issue_long(
        &mut self,
        grant: Grant,
        issued: OffsetDateTime,
        seed: &mut Seed,
    ) -> (String, i64) {
        let seconds = seed.long_life_seconds();
        (self.issue(grant, true, issued, Duration::seconds(seconds), seed), seconds)
    }

    fn issue(
        &mut self,
        grant: Grant,
        long_lived: bool,
        issued: OffsetDateTime,
        life: Duration,
        seed: &mut Seed,
    ) -> String {
        let text = seed.token();
        let number = self.issued;
        self.issued += 1;
        let token = Token { grant, long_lived, issued, expires: issued + life, number };
        self.tokens.insert(&text, token);
        text
    }

    pub(crate) fn code(&self, code: &str) -> Option<&Code> {
        self.codes.get(code)
    }

    /// Marks a code as used.
    pub(crate) fn spend(&mut self, code: &str) {
        if let Some(code) = self.codes.get_mut(code) {
            code.used = true;
        }
    }

    pub(crate) fn token(&self, token: &str) -> Option<&Token> {
        self.tokens.get(token)
    }

    /// Reason for which a token is refused, though it may be unexpired.
    pub(crate) fn trouble(&self, token: &Token) -> Option<Trouble> {
        let revocations = self.revocations.get(&token.grant.account)?;
        match revocations.ended {
            Some((end, trouble)) if token.number < end => Some(trouble),
            _ => (token.number < revocations.checkpoint).then_some(Trouble::Checkpoint),
        }
    }

    /// Ends, blocks or unblocks every token that the account has now.
    pub(crate) fn revoke(&mut self, account: AccountIndex, reason: RevokeReason) {
        let end = self.issued;
        let revocations = self.revocations.entry(account).or_default();
        match reason {
            RevokeReason::PasswordChanged => {
                revocations.ended = Some((end, Trouble::PasswordChanged));
            }
            RevokeReason::AppRemoved => revocations.ended = Some((end, Trouble::AppRemoved)),
            RevokeReason::Checkpoint => revocations.checkpoint = end,
            RevokeReason::CheckpointCleared => revocations.checkpoint = 0,
        }
    }
}
