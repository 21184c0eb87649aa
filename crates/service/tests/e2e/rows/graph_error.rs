//! An error of the Graph API: its bytes, and what it must come to at every call that can meet it.

use ig_proto::v1::TokenOutcome;

use super::answers::usual;
use super::case::{Case, Section};
use super::outcome::{Account, Outcome, Retry};
use crate::support::stub::{Endpoint, Reply};

/// The trace id in every error here.
const TRACE: &str = "AStubTraceZz-_42";

/// Meaning of an error for us.
#[derive(Clone, Copy)]
pub(crate) enum Meaning {
    /// The token is refused; said twice, the account needs re-authorisation for this reason.
    Dead(&'static str),
    /// A token that was only just given is refused; of any other nothing follows.
    NewDead,
    /// Instagram has trouble of its own.
    Unavailable,
    /// Stay away for so many seconds.
    Throttled(u64),
    /// The operator must act.
    App,
    /// Nothing that we know.
    Unexpected,
}

/// An error, as Instagram words it.
pub(crate) struct GraphError {
    pub(crate) row: &'static str,
    pub(crate) name: &'static str,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    /// `code` and `error_subcode`; no subcode is 0.
    pub(crate) code: (u32, u32),
    pub(crate) message: &'static str,
    /// `type`.
    pub(crate) kind: &'static str,
    /// More members of the error, as JSON with a comma in front.
    pub(crate) more: &'static str,
    pub(crate) meaning: Meaning,
}

impl GraphError {
    pub(crate) const fn new(
        row: &'static str,
        status: u16,
        code: (u32, u32),
        message: &'static str,
        meaning: Meaning,
    ) -> Self {
        let (name, kind, more) = ("as reported", "OAuthException", "");
        Self { row, name, status, headers: Vec::new(), code, message, kind, more, meaning }
    }

    fn reply(&self) -> Reply {
        let Self { status, headers, code: (code, subcode), message, kind, more, .. } = self;
        let subcode = match subcode {
            0 => String::new(),
            subcode => format!(r#","error_subcode":{subcode}"#),
        };
        let body = format!(
            r#"{{"error":{{"message":"{message}","type":"{kind}","code":{code}{subcode}{more},"fbtrace_id":"{TRACE}"}}}}"#
        );
        let json = ("Content-Type", "application/json; charset=UTF-8");
        Reply::with(*status, &[&[json], headers.as_slice()].concat(), &body)
    }

    /// The refusal with Instagram's own numbers.
    fn refused(&self, reason: &str) -> Outcome {
        let (code, subcode) = self.code;
        let refused = Outcome::refused(reason).fact("instagram_code", &code.to_string());
        let refused = refused.fact("fbtrace_id", TRACE);
        match subcode {
            0 => refused,
            subcode => refused.fact("instagram_subcode", &subcode.to_string()),
        }
    }

    /// Outcome where the error says nothing about the token; `dead` is the reason where it does.
    fn outcome(&self, dead: &str) -> Outcome {
        match self.meaning {
            Meaning::Dead(_) if dead == "INSTAGRAM_UNAVAILABLE" => {
                self.refused(dead).retry(Retry::Soon)
            }
            Meaning::Dead(_) => self.refused(dead),
            Meaning::NewDead if dead == "CODE_REJECTED" => self.refused(dead),
            Meaning::Unavailable => self.refused("INSTAGRAM_UNAVAILABLE").retry(Retry::Soon),
            Meaning::Throttled(seconds) => {
                self.refused("RATE_LIMITED").retry(Retry::After(seconds))
            }
            Meaning::App => self.refused("APP_MISCONFIGURED"),
            Meaning::NewDead | Meaning::Unexpected => self.refused("INSTAGRAM_UNEXPECTED"),
        }
    }

    /// The error at every call that can meet it.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let named = |place: &str| format!("{}, {place}", self.name);
        let link = |place| Case::link(Section::GraphErrors, self.row, named(place));
        let old = |place| Case::old(Section::GraphErrors, self.row, named(place));
        let young = |place| Case::young(Section::GraphErrors, self.row, named(place));
        let mut cases = vec![
            link("at the code exchange")
                .answer(Endpoint::Token, self.reply())
                .gives(self.outcome("CODE_REJECTED")),
            link("at the exchange")
                .answer(Endpoint::Exchange, self.reply())
                .gives(self.outcome("CODE_REJECTED")),
            link("at /me").answer(Endpoint::Me, self.reply()).gives(self.outcome("CODE_REJECTED")),
            old("at the renewal alone")
                .answer(Endpoint::Refresh, self.reply())
                .gives(self.outcome("INSTAGRAM_UNAVAILABLE")),
        ];
        let Meaning::Dead(reason) = self.meaning else {
            let me = young("at /me").answer(Endpoint::Me, self.reply());
            cases.push(me.gives(self.outcome("")));
            return cases;
        };
        let dead =
            || self.refused("REAUTHORIZATION_REQUIRED").fact("reauthorization_reason", reason);
        let alive = Outcome::Refreshed(TokenOutcome::TooYoung, Account::usual());
        cases.extend([
            old("at the renewal and at /me")
                .answer(Endpoint::Refresh, self.reply())
                .answer(Endpoint::Me, self.reply())
                .gives(dead()),
            young("at /me, twice").answer(Endpoint::Me, self.reply()).gives(dead()),
            young("at /me, once")
                .answers(Endpoint::Me, vec![self.reply(), usual(Endpoint::Me)])
                .gives(alive),
        ]);
        cases
    }
}
