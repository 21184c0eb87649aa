//! Tests of the run, over a store in memory and an Instagram that answers by a script.

mod script;

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ig_domain::ports::{Cause, InstagramErrorKind, MockDueAccounts, StoreError};
use ig_test_support::builders::{self, START, long_lived, parsed};
use ig_test_support::{FakeClock, MemoryStore};
use rstest::rstest;

use self::script::Script;
use super::*;

/// Outcome of a run, and what it wrote to both outputs.
struct Ran {
    ended: anyhow::Result<ExitCode>,
    out: String,
    err: String,
}

impl Ran {
    /// Text of the error, with its causes.
    fn error(&self) -> String {
        self.ended.as_ref().map_or_else(|error| format!("{error:#}"), |_| String::new())
    }
}

fn store() -> MemoryStore {
    MemoryStore::new(parsed("990602627938098"))
}

/// Imports the tokens of these accounts, one a line from line 2 on, two at the same time.
async fn run(
    store: &MemoryStore,
    instagram: &Arc<Script>,
    accounts: impl IntoIterator<Item = u32>,
    result: Option<ResultFile>,
) -> Ran {
    run_on(
        builders::ports(store, Script::default(), FakeClock::at(START)),
        instagram,
        accounts,
        result,
    )
    .await
}

async fn run_on(
    ports: Ports,
    instagram: &Arc<Script>,
    accounts: impl IntoIterator<Item = u32>,
    result: Option<ResultFile>,
) -> Ran {
    let ports = Ports { instagram: instagram.clone(), ..ports };
    let lines = accounts.into_iter().map(|number| format!("IGAA{number},shop/7,,\n"));
    let file = [String::from("header\n")].into_iter().chain(lines).collect::<String>();
    let mut lines = Lines::of(Cursor::new(file.into_bytes()));
    lines.read().unwrap();
    let run = Run::new(ports, 2, result, BTreeMap::new(), None);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut outputs = Outputs { out: &mut out, err: &mut err };
    let mut signals = StopSignals::catch().unwrap();
    let ended = run.execute(lines, &mut signals, &mut outputs).await;
    let [out, err] = [out, err].map(|text| String::from_utf8(text).unwrap());
    Ran { ended, out, err }
}

/// Numbers of the accounts that are stored.
fn stored(store: &MemoryStore) -> Vec<String> {
    let accounts = store.accounts().into_iter();
    let mut usernames: Vec<_> =
        accounts.map(|(account, _)| account.username.as_str().to_owned()).collect();
    usernames.sort();
    usernames
}

#[tokio::test(start_paused = true)]
async fn lines_under_way_are_stored_where_the_result_cannot_be_written() {
    let (store, folder) = (store(), tempfile::tempdir().unwrap());
    let path = folder.path().join("result.csv");
    std::fs::write(&path, "").unwrap();
    // The first ends once both are under way, and no sooner.
    let renewal = |number| Duration::from_secs(if number == 2 { 60 } else { 1 });
    let instagram = Arc::new(Script { renewal, ..Script::default() });
    let ran = run(&store, &instagram, 1..=9, Some(ResultFile::unwritable(&path))).await;
    let written = format!("the result {} cannot be written", path.display());
    assert!(
        ran.error().contains(&written) && ran.error().contains("run it again"),
        "{}",
        ran.error()
    );
    assert_eq!(stored(&store), ["account_1", "account_2"], "and none was begun after");
    assert!(ran.out.starts_with("lines: 2, imported: 2, bad: 0"), "{}", ran.out);
    assert_eq!(ran.err, "");
}

#[rstest]
#[case::app(|_| Some(InstagramErrorKind::AppMisconfigured), "Instagram refuses this app")]
#[case::away(|_| Some(InstagramErrorKind::Unavailable), "Instagram answered with an error of its own")]
#[case::unreachable(|_| Some(InstagramErrorKind::NotSent), "Instagram cannot be reached")]
#[tokio::test]
async fn an_import_stops_where_line_after_line_fails_for_no_fault_of_its_own(
    #[case] failure: fn(u32) -> Option<InstagramErrorKind>,
    #[case] expected: &str,
) {
    let instagram = Arc::new(Script { failure, ..Script::default() });
    let ran = run(&store(), &instagram, 1..=500, None).await;
    let error = ran.error();
    assert!(error.starts_with(&format!("{MAX_TROUBLED_LINES} lines in a row failed: ")), "{error}");
    assert!(error.contains(expected) && error.contains("run the import again"), "{error}");
    let asked = instagram.readings.load(Ordering::Relaxed);
    assert!((MAX_TROUBLED_LINES..=MAX_TROUBLED_LINES + 2).contains(&asked), "{asked}");
}

#[tokio::test]
async fn failures_between_lines_that_are_well_stop_nothing() {
    let failure = |number| (number % 40 > 0).then_some(InstagramErrorKind::Unavailable);
    let instagram = Arc::new(Script { failure, ..Script::default() });
    let ran = run(&store(), &instagram, 1..=200, None).await;
    assert_eq!(ran.error(), "");
    assert!(ran.out.starts_with("lines: 200, imported: 5, bad: 195"), "{}", ran.out);
}

/// A text that is no token is answered as if the app were refused. An account that is well tells.
#[tokio::test]
async fn lines_without_tokens_of_instagrams_keep_no_others_back() {
    let failure = |number| (number <= 120).then_some(InstagramErrorKind::AppMisconfigured);
    let instagram = Arc::new(Script { failure, ..Script::default() });
    let store = store();
    let witness = builders::account(999, "shop/7", START);
    store.put_account(witness, long_lived("IGAA999"));
    let ran = run(&store, &instagram, 1..=130, None).await;
    assert_eq!(ran.error(), "");
    assert!(ran.out.starts_with("lines: 130, imported: 10, bad: 120"), "{}", ran.out);
    assert_eq!(instagram.readings.load(Ordering::Relaxed), 130 + 2, "a witness each fifty lines");
}

#[tokio::test]
async fn an_import_whose_database_goes_away_says_so_and_blames_no_app_alone() {
    let failure = |_| Some(InstagramErrorKind::AppMisconfigured);
    let instagram = Arc::new(Script { failure, ..Script::default() });
    let mut ports = builders::ports(&store(), Script::default(), FakeClock::at(START));
    let mut away = MockDueAccounts::new();
    away.expect_witnesses()
        .returning(|_, _, _| Err(StoreError::Unavailable(Cause::new("no route to it"))));
    ports.store.due_accounts = Arc::new(away);
    let error = run_on(ports, &instagram, 1..=500, None).await.error();
    assert!(error.contains("Instagram refuses this app"), "{error}");
    assert!(
        error.contains("once the database is back") && error.ends_with("no route to it"),
        "{error}"
    );
}
