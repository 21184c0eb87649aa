//! Consumers as they are shown, and one that is forgotten.

use std::time::Duration;

use ig_domain::LogId;
use ig_test_support::builders::parsed;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn position(number: i64) -> EventPosition {
    let event: EventId = if number == 0 {
        EventId::NONE
    } else {
        EventId::from_uuid(uuid::Uuid::from_u128(number.try_into().unwrap()))
    };
    EventPosition { log: LogId::from_uuid(uuid::Uuid::from_u128(1)), number, event }
}

fn key(caller: &str, name: &str) -> ConsumerKey {
    ConsumerKey { caller: parsed(caller), name: parsed(name) }
}

fn consumers() -> Vec<ConsumerState> {
    let well = ConsumerState {
        key: key("publisher", "copy"),
        committed: Some(position(7)),
        is_held: true,
        lag_events: 0,
        lag: Duration::ZERO,
        window_left: HOUR * 24 * 14,
    };
    let late = ConsumerState {
        key: key("reports", "nightly"),
        committed: Some(position(0)),
        is_held: false,
        lag_events: 1200,
        lag: HOUR * 24 * 13,
        window_left: HOUR * 24,
    };
    let lost = ConsumerState {
        key: key("reports", "old"),
        committed: None,
        window_left: Duration::ZERO,
        ..late.clone()
    };
    vec![well, late, lost]
}

#[test]
fn a_person_sees_how_far_each_has_got() {
    let mut out = Vec::new();
    write_table(&consumers(), &mut out).unwrap();
    let expected = "\
CALLER     CONSUMER  COMMITTED                             HELD  LAG_EVENTS  LAG     WINDOW_LEFT
publisher  copy      00000000-0000-0000-0000-000000000007  yes   0           0s      14d 0h
reports    nightly   beginning                             no    1200        13d 0h  1d 0h
reports    old       -                                     no    1200        13d 0h  0s
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_program_gets_a_line_for_each() {
    let mut out = Vec::new();
    write_json(&consumers(), &mut out).unwrap();
    let lines = String::from_utf8(out).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    let expected = json!({
        "caller": "reports",
        "consumer": "nightly",
        "committed": "beginning",
        "held": false,
        "lag_events": 1200,
        "lag_seconds": 13 * 24 * 60 * 60,
        "window_left_seconds": 24 * 60 * 60,
    });
    assert_eq!(lines[1], expected);
    assert_eq!(lines[2]["committed"], Value::Null);
}

#[tokio::test]
async fn one_is_forgotten_and_one_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.db");
    let config = || ConsumersConfig {
        database: DatabaseSettings::of(&format!("sqlite://{}?mode=rwc", file.display())),
        app_id: parsed("1"),
        event_window: HOUR * 48,
    };
    let open = || Database::open(&config().database).unwrap();
    open().migrate().await.unwrap();
    let store = store(open(), parsed("1"));
    let beginning = ig_domain::ports::EventLog::look(&store, None).await.unwrap().head;
    assert!(store.commit(&key("publisher", "copy"), &beginning).await.unwrap());
    let show = async |json| {
        let mut out = Vec::new();
        let args = ConsumersArgs { command: None, json };
        run(config(), args, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(show(false).await.contains("\npublisher  copy      beginning  no"));
    let remove = async || {
        let (caller, name) = (parsed("publisher"), parsed("copy"));
        let command = Some(ConsumersCommand::Remove { caller, name });
        run(config(), ConsumersArgs { command, json: false }, &mut Vec::new()).await
    };
    assert_eq!(remove().await.unwrap(), ExitCode::SUCCESS);
    assert_eq!(show(true).await, "");
    let error = remove().await.unwrap_err();
    assert!(error.to_string().contains("publisher has no consumer copy"), "{error}");
}
