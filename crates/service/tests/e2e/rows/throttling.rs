//! Throttling: the time to stay away, and the outcome where nobody sends an envelope.
//!
//! Source: <https://developers.facebook.com/docs/graph-api/overview/rate-limiting>, and reports of clients.

use ig_proto::v1::TokenOutcome;

use super::answers::{RENEWED_SECONDS, profile};
use super::case::{After, Case, Section};
use super::graph_error::{GraphError, Meaning};
use super::outcome::{Account, Outcome, Retry};
use crate::support::stub::{Endpoint, Reply};

const BUSINESS: &str = "X-Business-Use-Case-Usage";
const APP: &str = "X-App-Usage";
const MALFORMED: &str = "malformed header";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = pauses().iter().flat_map(GraphError::cases).collect();
    cases.extend(usage_of_a_success());
    cases.extend(without_envelope());
    cases
}

/// A throttled call with these headers.
fn throttled(
    row: &'static str,
    name: &'static str,
    headers: &[(&'static str, &'static str)],
    seconds: u64,
) -> GraphError {
    GraphError {
        row,
        name,
        status: 400,
        headers: headers.to_vec(),
        code: (80_002, 0),
        message: "(#80002) There have been too many calls to this Instagram account.",
        kind: "OAuthException",
        more: "",
        meaning: Meaning::Throttled(seconds),
    }
}

fn pauses() -> Vec<GraphError> {
    const STATUS: &str = "throttling under HTTP 400, 403 or 429";
    const RETRY_AFTER: &str = "Retry-After";
    let minutes = r#"{"17841409876500123":[{"type":"instagram","call_count":100,"total_cputime":25,"total_time":25,"estimated_time_to_regain_access":9}]}"#;
    let two = r#"{"9911":[{"type":"instagram","call_count":100,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":3}],"17841409876500123":[{"type":"instagram","call_count":28,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":7}]}"#;
    let zero = r#"{"17841409876500123":[{"type":"instagram","call_count":101,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":0}]}"#;
    let documented = r#"{"call_count":100,"total_time":31,"total_cputime":26}"#;
    let live = r#"{"call_volume":100,"cpu_time":7}"#;
    let under = |name, status| GraphError { status, ..throttled(STATUS, name, &[], 60) };
    vec![
        under("400", 400),
        under("403", 403),
        under("429", 429),
        throttled(BUSINESS, "minutes", &[(BUSINESS, minutes)], 540),
        throttled(BUSINESS, "two ids: the longer", &[(BUSINESS, two)], 420),
        throttled(BUSINESS, "0 minutes are not well", &[(BUSINESS, zero)], 60),
        throttled(APP, "as documented", &[(APP, documented)], 60),
        throttled(APP, "as seen live", &[(APP, live)], 60),
        throttled(RETRY_AFTER, "seconds", &[(RETRY_AFTER, "120")], 120),
        throttled(RETRY_AFTER, "a date", &[(RETRY_AFTER, "Wed, 25 Nov 2026 07:28:00 GMT")], 60),
        throttled(MALFORMED, "business use case", &[(BUSINESS, r#"{"17841409876500123":[{"#)], 60),
        throttled(MALFORMED, "app usage", &[(APP, "none")], 60),
    ]
}

/// Usage headers on a success are none of its business.
fn usage_of_a_success() -> Vec<Case> {
    let headers = [
        (
            BUSINESS,
            r#"{"17841409876500123":[{"type":"instagram","call_count":99,"estimated_time_to_regain_access":5}]}"#,
        ),
        (APP, r#"{"call_volume":99,"cpu_time":98}"#),
        (MALFORMED, "{{"),
    ];
    let case = |(row, value)| {
        let header = if row == MALFORMED { BUSINESS } else { row };
        let reply = || Reply::with(200, &[(header, value)], &profile());
        let renewed = Account { life_seconds: RENEWED_SECONDS, ..Account::usual() };
        [
            Case::link(Section::GraphErrors, row, "on a success")
                .answer(Endpoint::Me, reply())
                .gives(Outcome::Linked(Account::usual())),
            Case::old(Section::GraphErrors, row, "on a success")
                .answer(Endpoint::Me, reply())
                .gives(Outcome::Refreshed(TokenOutcome::Renewed, renewed)),
        ]
    };
    headers.into_iter().flat_map(case).collect()
}

/// No envelope: by status.
fn without_envelope() -> Vec<Case> {
    const ROW: &str = "no envelope";
    let page = "<html><body>Sorry, something went wrong.</body></html>";
    let away = || Outcome::refused("INSTAGRAM_UNAVAILABLE").retry(Retry::Soon);
    let unexpected = || Outcome::refused("INSTAGRAM_UNEXPECTED");
    let limited = || Outcome::refused("RATE_LIMITED").retry(Retry::After(60));
    let kinds: [(&str, Reply, Outcome); 9] = [
        ("HTML 500", Reply::html(500, page), away()),
        ("HTML 503", Reply::html(503, page), away()),
        ("HTML 429", Reply::html(429, page), limited()),
        ("HTML 404", Reply::html(404, page), unexpected()),
        ("HTML 200", Reply::html(200, page), unexpected()),
        ("JSON of something else 400", Reply::json(400, r#"{"detail":"no"}"#), unexpected()),
        ("error that is a text", Reply::json(400, r#"{"error":"nope"}"#), unexpected()),
        ("redirect", Reply::with(302, &[("Location", "https://example.com/")], ""), unexpected()),
        ("more than 1 MiB", Reply::html(200, &" ".repeat(1024 * 1024 + 1)), unexpected()),
    ];
    let mut cases = Vec::new();
    for (name, reply, outcome) in kinds {
        for (place, endpoint) in [
            ("at the code exchange", Endpoint::Token),
            ("at the exchange", Endpoint::Exchange),
            ("at /me", Endpoint::Me),
        ] {
            let case = Case::link(Section::GraphErrors, ROW, format!("{name}, {place}"));
            let case = case.answer(endpoint, reply.clone()).gives(outcome.clone());
            // An answer that takes the code and shows no token is the end of that code.
            let taken =
                endpoint == Endpoint::Token && ["HTML 200", "more than 1 MiB"].contains(&name);
            cases.push(if taken { case.then(After::Final) } else { case });
        }
        let old = Case::old(Section::GraphErrors, ROW, format!("{name}, at the renewal"));
        cases.push(old.answer(Endpoint::Refresh, reply.clone()).gives(outcome.clone()));
        let young = Case::young(Section::GraphErrors, ROW, format!("{name}, at /me"));
        cases.push(young.answer(Endpoint::Me, reply).gives(outcome));
    }
    cases
}
