//! The code exchange: every shape of a success, every wording of a refusal.
//!
//! Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>,
//! and reports of clients.

use super::answers::SHORT;
use super::case::{After, Case, Section};
use super::outcome::{Account, Outcome, Retry};
use crate::support::stub::{Endpoint, Reply};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = shapes();
    cases.extend(without_token());
    cases.extend(refusals());
    cases.extend(elsewhere_worded());
    cases
}

/// A link whose code exchange answers this under HTTP 200; `SHORT` stands for the token.
fn exchanged(row: &'static str, name: &str, body: &str) -> Case {
    let reply = Reply::json(200, &body.replace("SHORT", SHORT));
    Case::link(Section::CodeExchange, row, name).answer(Endpoint::Token, reply)
}

fn shapes() -> Vec<Case> {
    const TEXT: &str = "permissions as a text";
    const ABSENT: &str = "permissions absent";
    const USER_ID: &str = "user_id beyond 2^53";
    let basic = "instagram_business_basic".to_owned();
    let messages = "instagram_business_manage_messages".to_owned();
    let publish = "instagram_business_content_publish".to_owned();
    let only_basic = Account {
        granted: Some(vec![basic.clone()]),
        missing: vec![publish.clone()],
        ..Account::usual()
    };
    let with_messages = Account {
        granted: Some(vec![basic, messages]),
        missing: vec![publish],
        ..Account::usual()
    };
    let unknown = Account { granted: None, ..Account::usual() };
    let table = [
        (
            "data, text id, comma string",
            "as documented",
            r#"{"data":[{"access_token":"SHORT","user_id":"27100000000000691","permissions":"instagram_business_basic,instagram_business_manage_messages"}]}"#,
            &with_messages,
        ),
        (
            "data, number, array",
            "as seen live",
            r#"{"data":[{"access_token":"SHORT","user_id":27100000000000691,"permissions":["instagram_business_basic"]}]}"#,
            &only_basic,
        ),
        (
            "flat, number, array",
            "as served",
            r#"{"access_token":"SHORT","user_id":27100000000000691,"permissions":["instagram_business_basic"]}"#,
            &only_basic,
        ),
        (
            "flat without permissions",
            "older",
            r#"{"access_token":"SHORT","user_id":27100000000000691}"#,
            &unknown,
        ),
        (
            USER_ID,
            "as a number",
            r#"{"access_token":"SHORT","user_id":27100000000000691,"permissions":["instagram_business_basic"],"extra":1.5}"#,
            &only_basic,
        ),
        (
            USER_ID,
            "as a text",
            r#"{"access_token":"SHORT","user_id":"27100000000000691","permissions":["instagram_business_basic"]}"#,
            &only_basic,
        ),
        (
            TEXT,
            "commas",
            r#"{"access_token":"SHORT","user_id":27100000000000691,"permissions":"instagram_business_basic,instagram_business_manage_messages"}"#,
            &with_messages,
        ),
        (
            TEXT,
            "URL-encoded",
            r#"{"access_token":"SHORT","user_id":27100000000000691,"permissions":"instagram_business_basic%2Cinstagram_business_manage_messages"}"#,
            &with_messages,
        ),
        (
            ABSENT,
            "null",
            r#"{"access_token":"SHORT","user_id":27100000000000691,"permissions":null}"#,
            &unknown,
        ),
        (
            ABSENT,
            "in data",
            r#"{"data":[{"access_token":"SHORT","user_id":"27100000000000691"}]}"#,
            &unknown,
        ),
        (
            "no token_type, no expires_in",
            "an OAuth answer that has them",
            r#"{"access_token":"SHORT","token_type":"bearer","expires_in":3600,"user_id":27100000000000691,"permissions":["instagram_business_basic"]}"#,
            &only_basic,
        ),
    ];
    let case = |(row, name, body, account): (_, _, _, &Account)| {
        exchanged(row, name, body).gives(Outcome::Linked(account.clone()))
    };
    table.into_iter().map(case).collect()
}

/// A success that brings no token ends the link here, not at the next call.
fn without_token() -> Vec<Case> {
    const ROW: &str = "access_token missing or empty";
    let bodies = [
        ("missing", r#"{"user_id":27100000000000691,"permissions":["instagram_business_basic"]}"#),
        ("empty", r#"{"access_token":"","user_id":27100000000000691}"#),
        ("null", r#"{"access_token":null,"user_id":27100000000000691}"#),
        ("empty in data", r#"{"data":[{"access_token":"","user_id":"27100000000000691"}]}"#),
        ("empty data", r#"{"data":[]}"#),
        ("an empty object", "{}"),
        ("no JSON", "access_token=SHORT&user_id=27100000000000691"),
        ("nothing", ""),
    ];
    let case = |(name, body)| {
        let case = exchanged(ROW, name, body).gives(Outcome::refused("INSTAGRAM_UNEXPECTED"));
        case.then(After::Final)
    };
    bodies.into_iter().map(case).collect()
}

/// Refusals in the exchange's own envelope; the code in it is the HTTP status.
fn refusals() -> Vec<Case> {
    const USED: &str = "Matching code was not found or was already used";
    const VERIFICATION: &str = "Error validating verification code";
    const CODE: &str = "CODE_REJECTED";
    const REDIRECT: &str = "REDIRECT_URI_REJECTED";
    const FULL_VERIFICATION: &str = "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request";
    const PLATFORM: &str = "Invalid platform app";
    const APP: &str = "APP_MISCONFIGURED";
    const UNSUPPORTED: &str = "Unsupported request - method type: post";
    const SECRET: &str = "Error validating client secret.";
    const APPLICATION: &str = "Error validating application. Application has been deleted.";
    const HOST: &str = "Invalid OAuth access token - Cannot parse access token";
    const REDIRECT_LEGACY: &str = "Redirect URI doesn't match original redirect URI";
    let texts = [
        (USED, "Matching code was not found or was already used", CODE),
        (USED, "Matching code was not found or was already used.", CODE),
        ("This authorization code has been used", "This authorization code has been used", CODE),
        ("Invalid authorization code", "Invalid authorization code", CODE),
        (VERIFICATION, FULL_VERIFICATION, REDIRECT),
        (PLATFORM, PLATFORM, APP),
        (UNSUPPORTED, UNSUPPORTED, APP),
        (SECRET, SECRET, APP),
        (APPLICATION, APPLICATION, APP),
        (HOST, HOST, APP),
        (REDIRECT_LEGACY, REDIRECT_LEGACY, REDIRECT),
        ("No matching code found.", "No matching code found.", CODE),
    ];
    let mut cases = Vec::new();
    for (row, text, reason) in texts {
        let orders = [
            (
                "type first",
                format!(r#"{{"error_type":"OAuthException","code":400,"error_message":"{text}"}}"#),
            ),
            (
                "message first",
                format!(r#"{{"error_message":"{text}","code":400,"error_type":"OAuthException"}}"#),
            ),
            ("no code", format!(r#"{{"error_type":"OAuthException","error_message":"{text}"}}"#)),
        ];
        for (order, body) in orders {
            let refused = Outcome::refused(reason);
            let coded = order != "no code";
            let refused = if coded { refused.fact("instagram_code", "400") } else { refused };
            let case = Case::link(Section::CodeExchange, row, format!("{text}, {order}"));
            cases.push(case.answer(Endpoint::Token, Reply::json(400, &body)).gives(refused));
        }
    }
    cases
}

/// Refusals in other envelopes, under other statuses, or in none.
fn elsewhere_worded() -> Vec<Case> {
    const UNDER_200: &str = "error body under HTTP 200";
    const LEGACY: &str = "legacy envelope, throttled";
    const HTML: &str = "HTML 5xx";
    let used = || Outcome::refused("CODE_REJECTED");
    let throttled = |code| {
        let refused = Outcome::refused("RATE_LIMITED").retry(Retry::After(60));
        refused.fact("instagram_code", code)
    };
    let away = || Outcome::refused("INSTAGRAM_UNAVAILABLE").retry(Retry::Soon);
    let legacy = r#"{"meta":{"code":429,"error_type":"OAuthRateLimitException","error_message":"You have exceeded the maximum number of requests per hour."}}"#;
    let page = "<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry, something went wrong.</body></html>";
    let graph = r#"{"error":{"message":"This authorization code has been used.","type":"OAuthException","code":100,"error_subcode":36009,"fbtrace_id":"AStubTrace07"}}"#;
    let link = |row, name| Case::link(Section::CodeExchange, row, name);
    vec![
        link(UNDER_200, "its own envelope")
            .answer(Endpoint::Token, Reply::json(200, r#"{"error_type":"OAuthException","code":400,"error_message":"This authorization code has been used"}"#))
            .gives(used().fact("instagram_code", "400")),
        link(UNDER_200, "the Graph envelope")
            .answer(Endpoint::Token, Reply::json(200, graph))
            .gives(used_by_graph()),
        link(LEGACY, "under HTTP 429").answer(Endpoint::Token, Reply::json(429, legacy)).gives(throttled("429")),
        link(LEGACY, "under HTTP 400").answer(Endpoint::Token, Reply::json(400, legacy)).gives(throttled("429")),
        link(HTML, "500").answer(Endpoint::Token, Reply::html(500, page)).gives(away()),
        link(HTML, "502").answer(Endpoint::Token, Reply::html(502, page)).gives(away()),
        link(HTML, "503").answer(Endpoint::Token, Reply::html(503, page)).gives(away()),
        link("100/36009 in the Graph envelope", "under HTTP 400")
            .answer(Endpoint::Token, Reply::json(400, graph))
            .gives(used_by_graph()),
    ]
}

fn used_by_graph() -> Outcome {
    Outcome::refused("CODE_REJECTED")
        .fact("instagram_code", "100")
        .fact("instagram_subcode", "36009")
        .fact("fbtrace_id", "AStubTrace07")
}
