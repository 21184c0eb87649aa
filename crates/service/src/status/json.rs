//! The state of all accounts as a line of JSON, for programs.

use std::io::{self, Write};

use ig_domain::ports::{Breaker, LogCount, Survey, WorstAccount};
use serde_json::{Map, Value, json};

use super::Status;
use crate::columns::moment;
use crate::consumers;

/// Writes `status` as one line.
pub(super) fn write(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    let Status { survey, worst, breaker, log, consumers, event_window: _ } = status;
    let Survey {
        time,
        active,
        reauthorization_required,
        first_expire_time,
        due,
        overdue,
        longest_due_time,
        in_trouble,
        of_other_apps,
    } = survey;
    let trouble: Map<_, _> = in_trouble
        .iter()
        .map(|(cause, number)| (cause.as_str().to_owned(), json!(number)))
        .collect();
    let line = json!({
        "time": moment(*time),
        "accounts": { "active": active, "reauthorization_required": reauthorization_required },
        "first_expire_time": first_expire_time.map(moment),
        "due": due,
        "overdue": overdue,
        "longest_due_time": longest_due_time.map(moment),
        "trouble": trouble,
        "worst": worst.iter().map(of_account).collect::<Vec<_>>(),
        "breaker": of_breaker(breaker),
        "accounts_of_other_apps": of_other_apps,
        "events": of_log(log),
        "consumers": consumers.iter().map(consumers::json).collect::<Vec<_>>(),
    });
    writeln!(out, "{line}")
}

fn of_account(worst: &WorstAccount) -> Value {
    let WorstAccount { account, next_visit_time } = worst;
    let trouble = account.failures.trouble.map(|trouble| {
        json!({
            "cause": trouble.cause.as_str(),
            "since_time": moment(trouble.since_time),
            "attempts": trouble.attempts,
        })
    });
    json!({
        "account_id": account.id.to_string(),
        "owner": account.owner.as_str(),
        "username": account.username.as_str(),
        "token_expire_time": account.token_expire_time.map(moment),
        "next_visit_time": next_visit_time.map(moment),
        "trouble": trouble,
    })
}

fn of_breaker(breaker: &Breaker) -> Value {
    json!({
        "open": breaker.open.is_some(),
        "cause": breaker.open.map(|open| open.cause.as_str()),
        "since_time": breaker.open.map(|open| moment(open.since_time)),
    })
}

fn of_log(log: &LogCount) -> Value {
    let LogCount { kept, unnumbered, unnumbered_age, oldest_time } = log;
    json!({
        "kept": kept,
        "unnumbered": unnumbered,
        "unnumbered_age_seconds": unnumbered_age.as_secs(),
        "oldest_time": oldest_time.map(moment),
    })
}
