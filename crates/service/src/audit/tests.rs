//! Entries that `audit` shows: their selection, their order, and their number at once.

use std::sync::Arc;

use clap::Parser;
use ig_adapters::persistence::{DatabaseSettings, SeaOrmStore, StoreMeter};
use ig_adapters::sealing::KeyRing;
use ig_domain::ports::{AuditLog as _, CompletedLink, LinkAttempts as _, PendingLinks as _};
use ig_domain::{AppId, AuditEntry, InstagramAccount, LeaseHolder, LinkAttempt};
use ig_metrics::Registry;
use ig_test_support::builders::{self, START};
use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::output::Closed;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    args: AuditArgs,
}

const KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const APPS: [&str; 2] = ["990602627938098", "1"];

struct Audit {
    url: String,
    _folder: TempDir,
}

impl Audit {
    /// An audit of these entries, the first app's and the second app's in turns.
    async fn of(entries: &[AuditEntry]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("accounts.db").display());
        let database = Arc::new(Database::open(&DatabaseSettings::of(&url)).unwrap());
        database.migrate().await.unwrap();
        for (entry, app) in entries.iter().zip(APPS.iter().cycle()) {
            let cipher = Arc::new(KEY.parse::<KeyRing>().unwrap());
            let app: AppId = app.parse().unwrap();
            let meter = StoreMeter::register(&mut Registry::new("test", "1"));
            let store = SeaOrmStore::new(database.clone(), app, cipher, meter);
            link(&store, entry).await;
            let recorded = store.record(std::slice::from_ref(entry)).await.unwrap();
            assert_eq!(recorded, [entry.id].into());
        }
        Self { url, _folder: folder }
    }

    async fn shown(&self, app: Option<&str>, arguments: &[&str]) -> String {
        let mut out = Vec::new();
        let arguments = ["audit"].iter().chain(arguments);
        let CommandLine { args } = CommandLine::try_parse_from(arguments).unwrap();
        let app_id = app.map(|app| app.parse().unwrap());
        let config = AuditConfig { database: DatabaseSettings::of(&self.url), app_id };
        assert_eq!(run(&config, args, &mut out).await.unwrap(), ExitCode::SUCCESS);
        String::from_utf8(out).unwrap()
    }
}

/// Links the account of an entry.
async fn link(store: &SeaOrmStore, entry: &AuditEntry) {
    let (state, owner) = (entry.id.to_string(), entry.owner.as_str());
    let pending = builders::pending_link(&state, owner, START);
    store.insert(&pending).await.unwrap();
    let presentation = builders::presentation(&state, &state, owner);
    let attempt = LinkAttempt::begin(pending, &presentation, START);
    let holder = LeaseHolder::from_uuid(*entry.id.as_uuid());
    store.create(&attempt, holder).await.unwrap();
    let account = InstagramAccount {
        id: entry.account,
        professional_account_id: entry.professional_account_id.clone(),
        ..builders::account(1, owner, START)
    };
    let link = CompletedLink {
        displaced: None,
        account,
        former_revision: None,
        token: Some(builders::long_lived("IGAA-7")),
        missing_scopes: Vec::new(),
        end_time: START,
    };
    store.complete(&attempt.code, holder, &link).await.unwrap();
}

/// Entry `number`, so many microseconds after the start.
fn entry(number: u32) -> AuditEntry {
    let owner = if number.is_multiple_of(2) { "shop/2" } else { "" };
    let account = builders::account(number, owner, START);
    builders::audit_entry(&account, u64::from(number))
}

#[tokio::test]
async fn a_table_has_a_header_and_the_newest_entry_first() {
    let turned = AuditEntry {
        purpose: "about \u{202e}tsop\u{2069} é 7".parse().unwrap(),
        request_id: "r".parse().unwrap(),
        ..entry(2)
    };
    let shown = Audit::of(&[entry(1), turned]).await.shown(None, &[]).await;
    let expected = "\
TIME                         CALLER     ACCOUNT_ID                            OWNER   TOKEN_ISSUE_TIME      PURPOSE                         REQUEST_ID
2026-11-24T08:00:00.000002Z  publisher  01990000-0000-7000-0000-000000000002  shop/2  2026-11-24T08:00:00Z  about \\u{202e}tsop\\u{2069} é 7  r
2026-11-24T08:00:00.000001Z  publisher  01990000-0000-7000-0000-000000000001  -       2026-11-24T08:00:00Z  publish                         req-7
";
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn json_shows_an_entry_whole() {
    let shown = Audit::of(&[entry(2)]).await.shown(None, &["--json"]).await;
    let line: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let expected = serde_json::json!({
        "id": "01990000-0000-7000-0000-000000000002",
        "time": "2026-11-24T08:00:00.000002Z",
        "caller": "publisher",
        "purpose": "publish",
        "request_id": "req-7",
        "account_id": "01990000-0000-7000-0000-000000000002",
        "professional_account_id": "17841400000000002",
        "owner": "shop/2",
        "token_issue_time": "2026-11-24T08:00:00Z",
        "token_expire_time": "2027-01-23T07:59:59Z",
        "revision": 1,
    });
    assert_eq!(line, expected);
    assert_eq!(shown.lines().count(), 1);
}

#[tokio::test]
async fn unknown_times_of_a_token_are_shown_as_such() {
    let unknown = AuditEntry { token_issue_time: None, token_expire_time: None, ..entry(1) };
    let audit = Audit::of(&[unknown]).await;
    let line: serde_json::Value =
        serde_json::from_str(&audit.shown(None, &["--json"]).await).unwrap();
    let null = serde_json::Value::Null;
    assert_eq!((&line["token_issue_time"], &line["token_expire_time"]), (&null, &null));
    let table = audit.shown(None, &[]).await;
    assert!(table.contains("  -      -                 publish  req-7"), "{table}");
}

#[rstest]
#[case::all(&[], None, &[4, 3, 2, 1])]
#[case::one_apps(&[], Some(APPS[0]), &[3, 1])]
#[case::an_accounts(&["--account", "01990000-0000-7000-0000-000000000003"], None, &[3])]
#[case::a_callers(&["--caller", "publisher"], None, &[4, 3, 2, 1])]
#[case::another_callers(&["--caller", "reporter"], None, &[])]
#[case::an_owners(&["--owner", "shop/2"], None, &[4, 2])]
#[case::nobodys(&["--owner", ""], None, &[3, 1])]
#[case::since(&["--since", "2026-11-24T08:00:00.000003Z"], None, &[4, 3])]
#[case::at_most(&["--limit", "2"], None, &[4, 3])]
#[case::none(&["--limit", "0"], None, &[])]
#[tokio::test]
async fn entries_are_shown_that_were_asked_for(
    #[case] arguments: &[&str],
    #[case] app: Option<&str>,
    #[case] expected: &[u32],
) {
    let audit = Audit::of(&[1, 2, 3, 4].map(entry)).await;
    let shown = audit.shown(app, arguments).await;
    let ids: Vec<_> = shown.lines().skip(1).map(|line| line.split("  ").nth(2).unwrap()).collect();
    let expected: Vec<_> =
        expected.iter().map(|number| entry(*number).account.to_string()).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn more_than_a_page_is_shown_whole_and_once() {
    let count = u32::try_from(PAGE_SIZE).unwrap() + 2;
    let entries: Vec<_> = (1..=count).map(entry).collect();
    let audit = Audit::of(&entries).await;
    let shown = audit.shown(None, &["--json", "--limit", "600"]).await;
    let ids: Vec<_> = entries.iter().rev().map(|entry| entry.id.to_string()).collect();
    let lines = shown.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let found: Vec<_> = lines.map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, ids);
}

#[rstest]
#[case::account(&["--account", "7"], "an account id is a UUID")]
#[case::caller(&["--caller", "a b"], "a caller's name is")]
#[case::owner(&["--owner", "a\u{1}"], "an owner is at most 128 characters")]
#[case::since(&["--since", "yesterday"], "a time is written as 2026-11-24T08:00:00Z")]
#[case::limit(&["--limit=-1"], "--limit")]
fn what_cannot_be_asked_for_is_named(#[case] arguments: &[&str], #[case] expected: &str) {
    let refused = CommandLine::try_parse_from(["audit"].iter().chain(arguments));
    let error = refused.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let audit = Audit::of(&[entry(1)]).await;
    let CommandLine { args } = CommandLine::try_parse_from(["audit"]).unwrap();
    let config = AuditConfig { database: DatabaseSettings::of(&audit.url), app_id: None };
    assert_eq!(run(&config, args, &mut Closed).await.unwrap(), ExitCode::SUCCESS);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.db");
    let database = DatabaseSettings::of(&format!("sqlite://{}?mode=rwc", file.display()));
    let config = AuditConfig { database, app_id: None };
    let CommandLine { args } = CommandLine::try_parse_from(["audit"]).unwrap();
    let error = run(&config, args, &mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("cannot be asked for its audit"), "{error:#}");
    assert!(!file.exists());
}
