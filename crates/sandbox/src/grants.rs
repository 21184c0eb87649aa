//! Codes and tokens: what was issued, to whom, until when, and what ended it early.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::accounts::AccountKey;
use crate::bounded_map::BoundedMap;
use crate::scope::Scope;
use crate::seed::Seed;

/// Maximum number of codes that are remembered, used ones too.
const MAX_CODES: usize = 20_000;
/// Maximum number of tokens that are remembered, dead ones too.
const MAX_TOKENS: usize = 50_000;
/// Lifetime of a code and of a short-lived token.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>.
const SHORT_LIVED_LIFETIME: Duration = Duration::HOUR;

/// Permissions that a person granted, and the account.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) account: AccountKey,
    pub(crate) scopes: Vec<Scope>,
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
    pub(crate) trouble: Option<Trouble>,
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

/// Every code and token that the sandbox remembers.
pub(crate) struct Grants {
    codes: BoundedMap<Code>,
    tokens: BoundedMap<Token>,
}

impl Grants {
    pub(crate) fn new() -> Self {
        Self { codes: BoundedMap::new(MAX_CODES), tokens: BoundedMap::new(MAX_TOKENS) }
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
        self.codes.insert(code.clone(), Code { grant, redirect_uri, expires, used: false });
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

    /// Makes a token that lives for almost 60 days, and says for how many seconds.
    pub(crate) fn issue_long(
        &mut self,
        grant: Grant,
        now: OffsetDateTime,
        seed: &mut Seed,
    ) -> (String, i64) {
        let seconds = seed.long_life_seconds();
        (self.issue(grant, true, now, Duration::seconds(seconds), seed), seconds)
    }

    fn issue(
        &mut self,
        grant: Grant,
        long_lived: bool,
        now: OffsetDateTime,
        life: Duration,
        seed: &mut Seed,
    ) -> String {
        let text = seed.token();
        let token = Token { grant, long_lived, issued: now, expires: now + life, trouble: None };
        self.tokens.insert(text.clone(), token);
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

    /// Ends, blocks or unblocks every token that the account has now.
    pub(crate) fn revoke(&mut self, account: AccountKey, reason: RevokeReason) {
        for token in self.tokens.values_mut().filter(|token| token.grant.account == account) {
            token.trouble = match (reason, token.trouble) {
                (RevokeReason::PasswordChanged, _) => Some(Trouble::PasswordChanged),
                (RevokeReason::AppRemoved, _) => Some(Trouble::AppRemoved),
                (RevokeReason::Checkpoint, None) => Some(Trouble::Checkpoint),
                (RevokeReason::CheckpointCleared, Some(Trouble::Checkpoint)) => None,
                (RevokeReason::Checkpoint | RevokeReason::CheckpointCleared, trouble) => trouble,
            };
        }
    }
}
