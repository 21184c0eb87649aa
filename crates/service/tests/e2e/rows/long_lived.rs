//! The long-lived token and its renewal.
//!
//! Sources: <https://developers.facebook.com/docs/instagram-platform/reference/access_token>,
//! <https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token>, and reports of clients.

use ig_proto::v1::TokenOutcome;

use super::answers::{LONG, RENEWED, RENEWED_SECONDS, long_lived};
use super::case::{Case, Section};
use super::outcome::{Account, Outcome, Retry};
use crate::support::stub::{Endpoint, Reply};

const TRACE: &str = "AStubTrace19";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = lives();
    cases.extend(returned_tokens());
    cases.extend(unreadable());
    cases.extend(dead());
    cases.extend(refused());
    cases
}

fn link(row: &'static str, name: &str) -> Case {
    Case::link(Section::LongLived, row, name)
}

fn old(row: &'static str, name: &str) -> Case {
    Case::old(Section::LongLived, row, name)
}

fn renewed_account() -> Account {
    Account { life_seconds: RENEWED_SECONDS, ..Account::usual() }
}

/// The life is what the answer says: never a round 60 days, and never assumed.
fn lives() -> Vec<Case> {
    const EXCHANGE: &str = "response of the exchange";
    const RENEWAL: &str = "response of the renewal";
    let lives = [
        ("the shortest seen", "5183944", 5_183_944),
        ("the longest seen", "5183999", 5_183_999),
        ("60 days", "5184000", 5_184_000),
        ("as a text", "\"5183951\"", 5_183_951),
        ("an hour", "3600", 3600),
    ];
    let mut cases = Vec::new();
    for (name, raw, life_seconds) in lives {
        let account = Account { life_seconds, ..Account::usual() };
        let linked = link(EXCHANGE, name);
        let linked = linked.answer(Endpoint::Exchange, Reply::json(200, &long_lived(LONG, raw)));
        cases.push(linked.gives(Outcome::Linked(account.clone())));
        if life_seconds > 25 * 60 * 60 {
            let renewed = old(RENEWAL, name);
            let reply = Reply::json(200, &long_lived(RENEWED, raw));
            let outcome = Outcome::Refreshed(TokenOutcome::Renewed, account);
            cases.push(renewed.answer(Endpoint::Refresh, reply).gives(outcome));
        }
    }
    cases
}

/// Whether the text changes is reported both ways.
fn returned_tokens() -> Vec<Case> {
    const ROW: &str = "the returned token is stored";
    let body = |token| Reply::json(200, &long_lived(token, &RENEWED_SECONDS.to_string()));
    let renewed = || Outcome::Refreshed(TokenOutcome::Renewed, renewed_account());
    let wrapped = format!(r#"{{"data":[{}]}}"#, long_lived(RENEWED, "5183871"));
    vec![
        old(ROW, "a new text").answer(Endpoint::Refresh, body(RENEWED)).gives(renewed()),
        old(ROW, "the same text")
            .answer(Endpoint::Refresh, body(LONG))
            .renewed_to(LONG)
            .gives(renewed()),
        old(ROW, "in data").answer(Endpoint::Refresh, Reply::json(200, &wrapped)).gives(renewed()),
    ]
}

fn unreadable() -> Vec<Case> {
    const ROW: &str = "expires_in or access_token missing";
    let bodies = [
        ("no life", r#"{"access_token":"IGAAStub04","token_type":"bearer"}"#),
        ("no token", r#"{"token_type":"bearer","expires_in":5183944}"#),
        ("an empty token", r#"{"access_token":"","token_type":"bearer","expires_in":5183944}"#),
        (
            "a life of nothing",
            r#"{"access_token":"IGAAStub04","token_type":"bearer","expires_in":0}"#,
        ),
        (
            "a negative life",
            r#"{"access_token":"IGAAStub04","token_type":"bearer","expires_in":-1}"#,
        ),
    ];
    let unexpected = || Outcome::refused("INSTAGRAM_UNEXPECTED");
    let mut cases = Vec::new();
    for (name, body) in bodies {
        let reply = || Reply::json(200, body);
        cases.push(link(ROW, name).answer(Endpoint::Exchange, reply()).gives(unexpected()));
        cases.push(old(ROW, name).answer(Endpoint::Refresh, reply()).gives(unexpected()));
    }
    cases
}

/// The two error bodies that are documented in full.
fn dead() -> Vec<Case> {
    let bodies = [
        (
            "190/463",
            "463",
            "Error validating access token: Session has expired on Sunday, 14-Jun-26 03:00:00 PDT. The current time is Monday, 15-Jun-26 01:22:07 PDT.",
            "TOKEN_EXPIRED",
        ),
        (
            "190/460",
            "460",
            "Error validating access token: The session has been invalidated because the user changed their password or Facebook has changed the session for security reasons.",
            "PASSWORD_CHANGED",
        ),
    ];
    let mut cases = Vec::new();
    for (row, subcode, message, reason) in bodies {
        let body = format!(
            r#"{{"error":{{"message":"{message}","type":"OAuthException","code":190,"error_subcode":{subcode},"fbtrace_id":"{TRACE}"}}}}"#
        );
        let reply = || Reply::json(400, &body);
        let facts = |refused: Outcome| {
            let refused = refused.fact("instagram_code", "190").fact("fbtrace_id", TRACE);
            refused.fact("instagram_subcode", subcode)
        };
        let dead = Outcome::refused("REAUTHORIZATION_REQUIRED");
        cases.extend([
            link(row, "on the exchange")
                .answer(Endpoint::Exchange, reply())
                .gives(facts(Outcome::refused("CODE_REJECTED"))),
            old(row, "on the renewal alone")
                .answer(Endpoint::Refresh, reply())
                .gives(facts(Outcome::refused("INSTAGRAM_UNAVAILABLE").retry(Retry::Soon))),
            old(row, "on the renewal and on /me")
                .answer(Endpoint::Refresh, reply())
                .answer(Endpoint::Me, reply())
                .gives(facts(dead.fact("reauthorization_reason", reason))),
        ]);
    }
    cases
}

/// Refusals that say nothing about the account.
fn refused() -> Vec<Case> {
    const TOO_YOUNG: &str = "renewal of a token that Instagram finds too young";
    const DASHBOARD: &str = "Session key invalid on a dashboard token";
    const GET: &str = "100 Unsupported request - method type: get";
    const POST: &str = "100 Unsupported request - method type: post";
    const SECRET: &str = "100 Error validating client secret.";
    let envelope = |code: u32, kind: &str, message: &str| {
        let body = format!(
            r#"{{"error":{{"message":"{message}","type":"{kind}","code":{code},"fbtrace_id":"{TRACE}"}}}}"#
        );
        Reply::json(400, &body)
    };
    let coded = |reason: &str, code: &str| {
        Outcome::refused(reason).fact("instagram_code", code).fact("fbtrace_id", TRACE)
    };
    let young = || envelope(100, "IGApiException", "The access token is too new to be refreshed");
    let unsupported = |method: &str| {
        let message = format!("Unsupported request - method type: {method}");
        envelope(100, "IGApiException", &message)
    };
    let app = || coded("APP_MISCONFIGURED", "100");
    vec![
        old(TOO_YOUNG, "HTTP 400 with an unknown text")
            .answer(Endpoint::Refresh, young())
            .gives(coded("INSTAGRAM_UNEXPECTED", "100")),
        old(TOO_YOUNG, "HTTP 403 with nothing")
            .answer(Endpoint::Refresh, Reply::with(403, &[], ""))
            .gives(Outcome::refused("INSTAGRAM_UNEXPECTED")),
        link(DASHBOARD, "on the exchange")
            .answer(Endpoint::Exchange, envelope(452, "OAuthException", "Session key invalid. This could be because the session key has an incorrect format, or because the user has revoked this session"))
            .gives(coded("CODE_REJECTED", "452")),
        link(GET, "on the exchange").answer(Endpoint::Exchange, unsupported("get")).gives(app()),
        old(GET, "on the renewal").answer(Endpoint::Refresh, unsupported("get")).gives(app()),
        link(POST, "on the exchange").answer(Endpoint::Exchange, unsupported("post")).gives(app()),
        link(SECRET, "on the exchange")
            .answer(Endpoint::Exchange, envelope(100, "OAuthException", "Error validating client secret."))
            .gives(app()),
    ]
}
