//! Meaning of Instagram's refusals: one table, from status, code, subcode and text to a kind of error.

use std::time::Duration;

use ig_domain::ReauthorizationReason::{Checkpoint, PasswordChanged, TokenExpired, TokenRevoked};
use ig_domain::ports::InstagramErrorKind::{
    AppMisconfigured, CodeRejected, RateLimited, RedirectUriRejected, SessionUnknown,
    TokenRejected, Unavailable, Unexpected, Unreadable,
};
use ig_domain::ports::{InstagramError, InstagramErrorKind};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::endpoint::Endpoint;
use super::envelope::{Dialect, ErrorEnvelope};
use super::{lenient, throttle};

#[cfg(test)]
mod tests;

/// Texts of the code exchange about a code or its redirect URI, in lower case. Instagram has one text for another
/// redirect URI and for a wrong app secret.
///
/// Sources: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>
/// and reports of clients; the wording changed over the years.
const TEXTS_ABOUT_CODES: [(&str, InstagramErrorKind); 7] = [
    ("matching code was not found", CodeRejected),
    ("no matching code found", CodeRejected),
    ("authorization code has been used", CodeRejected),
    ("invalid authorization code", CodeRejected),
    ("error validating verification code", RedirectUriRejected),
    ("match original redirect uri", RedirectUriRejected),
    ("invalid redirect_uri", RedirectUriRejected),
];

/// Texts about the app, in lower case: at any endpoint, under any code and any flag they say nothing about a token or a
/// code, and waiting mends nothing.
///
/// `Unsupported request` hits all accounts of an app alike: no accepted tester role, no advanced access, or
/// an app that Meta restricted. `Cannot parse access token` is what a token gets at the wrong host.
/// `Error validating application` comes under 190 and 101 while an app is disabled or deleted; apps came back
/// after days with all unexpired tokens alive.
///
/// Source: reports of clients; Meta documents none of them.
const TEXTS_ABOUT_THE_APP: [&str; 7] = [
    "invalid platform app",
    "insufficient developer role",
    "invalid scopes",
    "unsupported request",
    "error validating client secret",
    "error validating application",
    "cannot parse access token",
];

/// Text about a token that belongs to no session, in lower case; mostly under code 452.
///
/// Source: reports of clients that sent a token from Meta's dashboard.
pub(super) const UNKNOWN_SESSION: &str = "session key invalid";

/// The subcode of code 100 for a code that was used.
///
/// Source: reports of clients of graph.facebook.com.
const CODE_ALREADY_USED: i64 = 36_009;

/// The code of an application that cannot be validated.
///
/// Source: reports of clients.
const UNKNOWN_APP: i64 = 101;

/// Minimum time of a block for abuse. A guess: "hours" is all that is known.
const MIN_BLOCK_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Lets the JSON of an answer through that accepts the request; anything else becomes an error.
///
/// An error body counts under any status. Its text about the app outranks its code, and its code the status. `body` is
/// `None` where it could not be read.
pub(super) fn accept(
    endpoint: Endpoint,
    status: StatusCode,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) -> Result<Value, InstagramError> {
    let json = body.and_then(lenient::parse);
    if let Some(envelope) = json.as_ref().and_then(ErrorEnvelope::find) {
        let kind = match envelope.dialect {
            _ if is_about_the_app(&envelope.message) => AppMisconfigured,
            Dialect::Graph => by_code(endpoint, status, headers, &envelope),
            Dialect::Token => by_words(endpoint, status, headers, &envelope),
        };
        return Err(InstagramError { kind, facts: envelope.facts });
    }
    match json {
        Some(json) if status.is_success() => Ok(json),
        None if status.is_success() => Err(Unreadable.into()),
        _ => Err(by_status(status, headers).into()),
    }
}

/// Graph errors. The order decides: throttling may call itself transient, and a transient refusal of a token
/// is none.
///
/// Source: <https://developers.facebook.com/docs/graph-api/guides/error-handling>.
fn by_code(
    endpoint: Endpoint,
    status: StatusCode,
    headers: &HeaderMap,
    envelope: &ErrorEnvelope,
) -> InstagramErrorKind {
    let pause = throttle::retry_after(headers);
    match envelope.facts.code {
        Some(4 | 17 | 32 | 341 | 613 | 80_002) => return RateLimited { retry_after: pause },
        Some(368) => return RateLimited { retry_after: pause.max(MIN_BLOCK_RETRY_AFTER) },
        _ if envelope.transient => return Unavailable,
        _ => {}
    }
    if let Some(kind) = about_code(endpoint, &envelope.message) {
        return kind;
    }
    match (envelope.facts.code, envelope.facts.subcode) {
        (Some(1 | 2), _) => Unavailable,
        (Some(190), subcode) => TokenRejected(reason(subcode)),
        (Some(102), _) => TokenRejected(TokenRevoked),
        (Some(452), _) => SessionUnknown,
        _ if envelope.message.contains(UNKNOWN_SESSION) => SessionUnknown,
        (Some(3 | 10 | UNKNOWN_APP | 200..=299), _) => AppMisconfigured,
        (Some(100), Some(CODE_ALREADY_USED)) if endpoint == Endpoint::CodeExchange => CodeRejected,
        (Some(_), _) => Unexpected,
        (None, _) => by_status(status, headers),
    }
}

/// Errors of the code exchange: known by their words, for their code only repeats the HTTP status.
fn by_words(
    endpoint: Endpoint,
    status: StatusCode,
    headers: &HeaderMap,
    envelope: &ErrorEnvelope,
) -> InstagramErrorKind {
    if envelope.error_type.contains("ratelimit") {
        return RateLimited { retry_after: throttle::retry_after(headers) };
    }
    if let Some(kind) = about_code(endpoint, &envelope.message) {
        return kind;
    }
    // No answer has the HTTP status 101, so here it is the Graph code.
    if envelope.facts.code == Some(UNKNOWN_APP) {
        return AppMisconfigured;
    }
    // Such a body comes under HTTP 200 too, so its own code is the status that counts.
    let own = envelope.facts.code.and_then(|code| StatusCode::from_u16(code.try_into().ok()?).ok());
    by_status(own.unwrap_or(status), headers)
}

fn is_about_the_app(message: &str) -> bool {
    TEXTS_ABOUT_THE_APP.iter().any(|text| message.contains(text))
}

/// Kind of error by a text about a code or its redirect URI; only the code exchange says anything of these.
fn about_code(endpoint: Endpoint, message: &str) -> Option<InstagramErrorKind> {
    let mut about_codes = TEXTS_ABOUT_CODES.iter().filter(|_| endpoint == Endpoint::CodeExchange);
    about_codes.find(|(text, _)| message.contains(text)).map(|(_, kind)| *kind)
}

/// Kind of error by the status alone, such as for a proxy's page.
fn by_status(status: StatusCode, headers: &HeaderMap) -> InstagramErrorKind {
    match status {
        StatusCode::TOO_MANY_REQUESTS => {
            RateLimited { retry_after: throttle::retry_after(headers) }
        }
        _ if status.is_server_error() => Unavailable,
        _ => Unexpected,
    }
}

/// Reason for which a token is refused, by the subcode of code 190.
///
/// Source: <https://developers.facebook.com/docs/graph-api/guides/error-handling>.
fn reason(subcode: Option<i64>) -> ig_domain::ReauthorizationReason {
    match subcode {
        Some(463) => TokenExpired,
        Some(460) => PasswordChanged,
        Some(459 | 464) => Checkpoint,
        _ => TokenRevoked,
    }
}
