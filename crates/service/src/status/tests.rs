//! Output of `status` for people and for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use ig_adapters::persistence::DatabaseSettings;
use ig_domain::TroubleCause;
use ig_domain::ports::{ConsumerKey, OpenBreaker};
use ig_test_support::builders::{self, START};

use super::*;
use crate::output::Closed;

const HOUR: Duration = Duration::from_hours(1);

fn well() -> Status {
    let survey = Survey {
        time: START + Duration::from_micros(7),
        active: 1200,
        reauthorization_required: 3,
        first_expire_time: Some(START + HOUR * 24 * 29 + HOUR / 2),
        due: 0,
        overdue: 0,
        longest_due_time: None,
        in_trouble: BTreeMap::new(),
        of_other_apps: 0,
    };
    let log =
        LogCount { kept: 0, unnumbered: 0, unnumbered_age: Duration::ZERO, oldest_time: None };
    Status {
        survey,
        worst: Vec::new(),
        breaker: Breaker::default(),
        log,
        consumers: Vec::new(),
        event_window: HOUR * 24 * 14,
    }
}

/// A consumer that loses its cursor after `left`.
fn consumer(name: &str, left: Duration) -> ConsumerState {
    ConsumerState {
        key: ConsumerKey { caller: builders::parsed("publisher"), name: builders::parsed(name) },
        committed: None,
        is_held: true,
        lag_events: 7,
        lag: HOUR,
        window_left: left,
    }
}

fn ill() -> Status {
    let mut account = builders::account(1, "shop/7", START - HOUR * 24 * 55);
    account.visit_failed(START - HOUR, Some(TroubleCause::RateLimited), 0, HOUR * 2);
    let mut overdue = builders::account(2, "", START - HOUR * 24 * 54);
    overdue.username = builders::parsed("second");
    let cause = TroubleCause::AppMisconfigured;
    Status {
        survey: Survey {
            first_expire_time: account.token_expire_time,
            due: 4,
            overdue: 1,
            longest_due_time: Some(START - HOUR),
            in_trouble: BTreeMap::from([
                (TroubleCause::RateLimited, 1),
                (TroubleCause::AppMisconfigured, 2),
            ]),
            of_other_apps: 5,
            ..well().survey
        },
        worst: vec![
            WorstAccount { account, next_visit_time: Some(START + HOUR) },
            WorstAccount { account: overdue, next_visit_time: Some(START - HOUR) },
        ],
        breaker: Breaker {
            open: Some(OpenBreaker { cause, since_time: START - HOUR / 2 }),
            close_time: None,
        },
        log: LogCount {
            kept: 5210,
            unnumbered: 2,
            unnumbered_age: HOUR / 60,
            oldest_time: Some(START - HOUR * 24 * 14),
        },
        consumers: vec![consumer("copy", HOUR * 24 * 13), consumer("old", HOUR * 30)],
        event_window: HOUR * 24 * 14,
    }
}

fn report_of(status: &Status) -> String {
    let mut out = Vec::new();
    report::write(status, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_person_sees_that_all_is_well() {
    let expected = "\
All is well.

time            2026-11-24T08:00:00Z
accounts        1200 active, 3 to be re-authorized
first expiry    2026-12-23T08:30:00Z, in 29d 0h
due             0
overdue         0
in trouble      0
breaker         closed
events          0 kept; 0 waiting
of other apps   0
";
    assert_eq!(report_of(&well()), expected);
}

#[test]
fn a_person_sees_what_is_wrong_and_whom_it_hurts_first() {
    let expected = "\
Look at this: the first token dies in 4d 23h.
Look at this: Instagram refuses the whole app (APP_MISCONFIGURED) since 2026-11-24T07:30:00Z, and nobody is visited.
Look at this: 1 visit is overdue.
Look at this: renewals fail for 3 accounts.
Look at this: consumer old of publisher loses its cursor in 1d 6h.

time            2026-11-24T08:00:00Z
accounts        1200 active, 3 to be re-authorized
first expiry    2026-11-29T07:59:59Z, in 4d 23h
due             4, the longest for 1h 0m
overdue         1
in trouble      1 RATE_LIMITED, 2 APP_MISCONFIGURED
breaker         open since 2026-11-24T07:30:00Z for APP_MISCONFIGURED
events          5210 kept, the oldest of 2026-11-10T08:00:00Z; 2 waiting
of other apps   5

TOKEN_EXPIRE_TIME     ACCOUNT_ID                            OWNER   USERNAME   NEXT_VISIT_TIME       TROUBLE       SINCE_TIME            ATTEMPTS
2026-11-29T07:59:59Z  01990000-0000-7000-0000-000000000001  shop/7  account_1  2026-11-24T09:00:00Z  RATE_LIMITED  2026-11-24T07:00:00Z  1
2026-11-30T07:59:59Z  01990000-0000-7000-0000-000000000002  -       second     2026-11-24T07:00:00Z  -             -                     -

CALLER     CONSUMER  COMMITTED  HELD  LAG_EVENTS  LAG    WINDOW_LEFT
publisher  copy      -          yes   7           1h 0m  13d 0h
publisher  old       -          yes   7           1h 0m  1d 6h
";
    assert_eq!(report_of(&ill()), expected);
}

#[test]
fn an_unknown_end_is_shown_as_one() {
    let mut status = ill();
    status.worst[0].account.token_expire_time = None;
    assert!(
        report_of(&status).contains("\n-                     01990000-0000-7000-0000-000000000001")
    );
    let mut out = Vec::new();
    json::write(&status, &mut out).unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(shown["worst"][0]["token_expire_time"], serde_json::Value::Null);
}

#[test]
fn a_consumer_that_follows_within_a_short_window_is_no_concern() {
    let consumers = vec![consumer("copy", HOUR * 47), consumer("late", HOUR * 23)];
    let report = report_of(&Status { consumers, event_window: HOUR * 48, ..well() });
    let expected = "Look at this: consumer late of publisher loses its cursor in 23h 0m.\n\n";
    assert!(report.starts_with(expected), "{report}");
}

#[test]
fn a_consumer_without_a_cursor_has_lost_it() {
    let consumers = vec![consumer("old", Duration::ZERO)];
    let report = report_of(&Status { consumers, ..well() });
    let expected = "Look at this: consumer old of publisher has lost its cursor.\n\n";
    assert!(report.starts_with(expected), "{report}");
}

#[test]
fn a_program_gets_all_of_it_in_one_line() {
    let mut out = Vec::new();
    json::write(&ill(), &mut out).unwrap();
    let expected = serde_json::json!({
        "time": "2026-11-24T08:00:00.000007Z",
        "accounts": { "active": 1200, "reauthorization_required": 3 },
        "first_expire_time": "2026-11-29T07:59:59Z",
        "due": 4,
        "overdue": 1,
        "longest_due_time": "2026-11-24T07:00:00Z",
        "trouble": { "RATE_LIMITED": 1, "APP_MISCONFIGURED": 2 },
        "worst": [
            {
                "account_id": "01990000-0000-7000-0000-000000000001",
                "owner": "shop/7",
                "username": "account_1",
                "token_expire_time": "2026-11-29T07:59:59Z",
                "next_visit_time": "2026-11-24T09:00:00Z",
                "trouble": {
                    "cause": "RATE_LIMITED",
                    "since_time": "2026-11-24T07:00:00Z",
                    "attempts": 1,
                },
            },
            {
                "account_id": "01990000-0000-7000-0000-000000000002",
                "owner": "",
                "username": "second",
                "token_expire_time": "2026-11-30T07:59:59Z",
                "next_visit_time": "2026-11-24T07:00:00Z",
                "trouble": null,
            },
        ],
        "breaker": {
            "open": true,
            "cause": "APP_MISCONFIGURED",
            "since_time": "2026-11-24T07:30:00Z",
        },
        "accounts_of_other_apps": 5,
        "events": {
            "kept": 5210,
            "unnumbered": 2,
            "unnumbered_age_seconds": 60,
            "oldest_time": "2026-11-10T08:00:00Z",
        },
        "consumers": [
            {
                "caller": "publisher",
                "consumer": "copy",
                "committed": null,
                "held": true,
                "lag_events": 7,
                "lag_seconds": 3600,
                "window_left_seconds": 13 * 24 * 3600,
            },
            {
                "caller": "publisher",
                "consumer": "old",
                "committed": null,
                "held": true,
                "lag_events": 7,
                "lag_seconds": 3600,
                "window_left_seconds": 30 * 3600,
            },
        ],
    });
    let line = String::from_utf8(out).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), expected);
    assert_eq!(line.lines().count(), 1);
}

fn config(file: &std::path::Path) -> StatusConfig {
    StatusConfig {
        database: DatabaseSettings::of(&format!("sqlite://{}?mode=rwc", file.display())),
        app_id: builders::parsed("1"),
        event_window: HOUR * 24 * 14,
        sandbox_clock_url: None,
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.db");
    let error = run(config(&file), StatusArgs { json: false }, &mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("cannot be asked for its accounts"), "{error:#}");
    assert!(!file.exists());
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.db");
    Database::open(&config(&file).database).unwrap().migrate().await.unwrap();
    let ended = run(config(&file), StatusArgs { json: false }, &mut Closed).await;
    assert_eq!(ended.unwrap(), ExitCode::SUCCESS);
}
