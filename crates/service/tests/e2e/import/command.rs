//! The command `import`, beside a service that runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ig_proto::v1::{InstagramAccount, ListRequest};
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::{DAY, asked, told};
use crate::support::process::Process;
use crate::support::sandbox::BAKERY;
use crate::support::{On, Sandbox, Stack, eventually};

const HEADER: &str = "access_token,owner,issue_time,expire_time";
const RESULT_HEADER: &str =
    "line,outcome,account_id,professional_account_id,username,owner,token_expire_time";

/// Number of lines under way at the same time where a test sets nothing else.
const IN_FLIGHT: usize = 16;

/// A stack whose service has made its schema: the command makes none.
async fn started(on: On) -> Stack {
    let stack = Stack::start_on(on, &[]).await;
    let list = async || stack.service.list(ListRequest::default()).await.ok();
    eventually("the schema is there", list).await;
    stack
}

fn command(stack: &Stack, file: &Path) -> Command {
    let mut command = stack.folder.settings(&stack.sandbox);
    command.arg("import").arg(file);
    command
}

/// Runs it to its end; returns its exit code, and what it wrote to both outputs.
fn finished(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    (status.code(), stdout, stderr)
}

/// Accounts of these numbers at Instagram, with a token each that is two days old.
async fn tokens(sandbox: &Sandbox, count: usize) -> Vec<String> {
    let accounts: Vec<_> =
        (0..count).map(|number| json!({ "username": format!("shop_{number}") })).collect();
    for accounts in accounts.chunks(100) {
        sandbox.control(Method::POST, "accounts", Some(json!(accounts))).await;
    }
    let mut tokens = Vec::new();
    for number in 0..count {
        tokens.push(sandbox.token(&format!("shop_{number}"), 2 * DAY).await);
    }
    tokens
}

fn written(stack: &Stack, name: &str, lines: &[String]) -> PathBuf {
    let path = stack.folder.path().join(name);
    fs::write(&path, format!("{HEADER}\n{}\n", lines.join("\n"))).unwrap();
    path
}

/// The last row of each line of a result, by its cells.
fn rows(result: &Path) -> BTreeMap<usize, Vec<String>> {
    let text = fs::read_to_string(result).unwrap_or_default();
    let mut lines = text.lines();
    assert!(lines.next().is_none_or(|header| header == RESULT_HEADER));
    let rows = lines.map(|row| row.split(',').map(str::to_owned).collect::<Vec<_>>());
    rows.map(|row| (row[0].parse().unwrap(), row)).collect()
}

/// Number of requests at an endpoint by account; those of no account are left out.
async fn requests(sandbox: &Sandbox, endpoint: &str) -> BTreeMap<String, usize> {
    let mut requests = BTreeMap::new();
    for request in sandbox.requests(endpoint).await {
        if let Value::String(account) = &request["account"] {
            *requests.entry(account.clone()).or_default() += 1;
        }
    }
    requests
}

/// 300 lines, some of which are bad: killed in the middle, and run again.
#[rstest]
#[tokio::test]
async fn an_import_that_was_killed_goes_on_and_asks_nothing_twice(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stack = started(on).await;
    let Stack { sandbox, service, folder } = &stack;
    let tokens = tokens(sandbox, 300).await;
    for number in [7, 107, 207] {
        sandbox.revoke(&format!("shop_{number}"), "app_removed").await;
    }
    let mut lines: Vec<_> = tokens.iter().map(|token| format!("{token},shop/7,,")).collect();
    lines[0] = format!("{},\"shop, \"\"7\"\"\",2026-01-01T00:00:00Z,", tokens[0]);
    lines[10] = format!("{} ,shop/7,,", tokens[10]);
    lines[20] = format!("{},shop/7,yesterday,", tokens[20]);
    lines[30] = format!("{},shop/7", tokens[30]);
    lines[40] = format!("\"{},shop/7,,", tokens[40]);
    lines[50] = format!("{},{},,", tokens[50], "o".repeat(20_000));
    lines[60] = String::new();
    let (file, result) = (written(&stack, "tokens.csv", &lines), folder.path().join("result.csv"));
    let import = || {
        let mut import = command(&stack, &file);
        import.arg("--out").arg(&result);
        import
    };
    sandbox.fault(json!({ "endpoint": "me", "delay_ms": 100 })).await;
    let mut interrupted = Process::start(import());
    eventually("a third is done", async || (rows(&result).len() > 100).then_some(())).await;
    interrupted.ended_by(Signal::SIGKILL).await;
    let done = rows(&result);
    assert!(done.len() < 250, "it was killed in the middle: {}", done.len());
    let mut torn = fs::read_to_string(&result).unwrap();
    torn.push_str("299,CREA");
    fs::write(&result, torn).unwrap();
    sandbox.clear_faults().await;

    let (code, stdout, stderr) = finished(import());
    assert_eq!(code, Some(1), "{stderr}");
    let rows = rows(&result);
    assert_eq!(rows.len(), 299, "all but the blank line");
    let bad: BTreeMap<_, _> = rows
        .iter()
        .filter(|(_, row)| !["CREATED", "UNCHANGED"].contains(&row[1].as_str()))
        .map(|(line, row)| (*line, row[1].as_str()))
        .collect();
    // The header is line 1.
    let invalid = [12, 22, 32, 42, 52].map(|line| (line, "INVALID_FIELD"));
    let rejected = [9, 109, 209].map(|line| (line, "TOKEN_REJECTED"));
    assert_eq!(bad, BTreeMap::from_iter([&invalid[..], &rejected].concat()));
    let done_before = done.values().filter(|row| row[1] != "INVALID_FIELD").count();
    let summary = format!("lines: 299, imported: 291, bad: 8 (done before: {done_before})\n");
    assert!(stdout.starts_with(&summary), "{stdout}");
    let listed = service.list(ListRequest { page_size: 500, ..Default::default() }).await.unwrap();
    assert_eq!(listed.accounts.len(), 291);
    let first = listed.accounts.iter().find(|account| account.username == "shop_0").unwrap();
    assert_eq!((first.owner.as_str(), &rows[&2][2]), ("shop, \"7\"", &first.account_id));

    // Only what was under way when it was killed is asked again.
    for (endpoint, of_refused) in [("me", 2), ("refresh", 0)] {
        let requests = requests(sandbox, endpoint).await;
        let mut again = 0;
        for (line, row) in &rows {
            let username = format!("shop_{}", line - 2);
            let usual = match row[1].as_str() {
                "INVALID_FIELD" => 0,
                "TOKEN_REJECTED" => of_refused,
                _ => 1,
            };
            let found = requests.get(&username).copied().unwrap_or_default();
            let was_done = done.contains_key(line);
            // Refusals are put to a witness, which is one of the accounts.
            let as_witness = usize::from(endpoint == "me") * 3;
            assert!(
                found >= usual && found <= 2 * usual + as_witness,
                "{endpoint} {username}: {found}"
            );
            again += usize::from(found > usual && !was_done);
            assert!(!was_done || found <= usual + as_witness, "{endpoint} {username}: {found}");
        }
        assert!(again <= IN_FLIGHT + 3, "{endpoint}: {again}");
    }

    // Twice the same file changes nothing.
    let before = (asked(sandbox).await, fs::read(&result).unwrap());
    let (code, stdout, _) = finished(import());
    assert_eq!(code, Some(1));
    assert!(stdout.contains("(done before: 294)"), "{stdout}");
    assert_eq!((asked(sandbox).await, fs::read(&result).unwrap()), before);
    let again = service.list(ListRequest { page_size: 500, ..Default::default() }).await.unwrap();
    assert_eq!(again.accounts, listed.accounts);

    // Without a result bad lines are named, and every line is tried.
    let (code, stdout, stderr) = finished(command(&stack, &file));
    assert_eq!(code, Some(1));
    assert!(stdout.starts_with("lines: 299, imported: 291, bad: 8 (done before: 0)"), "{stdout}");
    assert!(
        stderr.contains("line 22: INVALID_FIELD: issue_time: a time is written as"),
        "{stderr}"
    );
    assert!(stderr.contains("line 52: INVALID_FIELD: the line is too long"), "{stderr}");
    assert!(stderr.contains("line 109: TOKEN_REJECTED: Instagram refuses the token"), "{stderr}");
    let again = service.list(ListRequest { page_size: 500, ..Default::default() }).await.unwrap();
    let revisions = |accounts: &[InstagramAccount]| {
        accounts.iter().map(|one| (one.account_id.clone(), one.revision)).collect::<Vec<_>>()
    };
    assert_eq!(revisions(&again.accounts), revisions(&listed.accounts));
    let shown =
        [stdout, stderr, fs::read_to_string(&result).unwrap(), interrupted.printed()].concat();
    assert!(tokens.iter().all(|token| !shown.contains(token)), "a token was shown");
    assert_eq!(told(service).await.len(), 291);
}

#[tokio::test]
async fn an_import_waits_while_instagram_throttles_the_app() {
    let stack = started(On::Sqlite).await;
    let Stack { sandbox, folder, .. } = &stack;
    let tokens = tokens(sandbox, 40).await;
    let lines: Vec<_> = tokens.iter().map(|token| format!("{token},,,")).collect();
    let (file, result) = (written(&stack, "tokens.csv", &lines), folder.path().join("result.csv"));
    let limit = json!({"error": {"message": "(#4) Application request limit reached", "type": "OAuthException", "code": 4}});
    sandbox
        .fault(
            json!({"endpoint": "me", "times": 1, "account": "shop_20", "status": 403, "body": limit,
            "headers": {"Retry-After": "600"}}),
        )
        .await;
    let mut import = command(&stack, &file);
    import.env("KEEPER_IN_FLIGHT", "4").arg("--out").arg(&result);
    let mut import = Process::start(import);
    import.line_with("Instagram throttles the app: nothing is tried until ");
    let done = rows(&result).len();
    assert!((10..30).contains(&done), "{done}");
    sandbox.advance(601).await;
    assert_eq!(import.ended().await.code(), Some(0));
    let rows = rows(&result);
    assert!(rows.len() == 40 && rows.values().all(|row| row[1] == "CREATED"), "{rows:?}");
    let requests = requests(sandbox, "me").await;
    assert_eq!(requests.values().sum::<usize>(), 41, "only the throttled line is asked again");
}

#[tokio::test]
async fn standard_input_is_read_and_a_file_of_another_kind_is_refused() {
    let stack = started(On::Sqlite).await;
    let token = stack.sandbox.token(BAKERY, 2 * DAY).await;
    let file = written(&stack, "tokens.csv", &[format!("{token},shop/7,,")]);
    let mut import = command(&stack, Path::new("-"));
    import.stdin(fs::File::open(&file).unwrap());
    let (code, stdout, stderr) = finished(import);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(stdout, "lines: 1, imported: 1, bad: 0 (done before: 0)\n  CREATED: 1\n");

    // One that gives nothing keeps no signal waiting.
    let pipe = stack.folder.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let mut waiting = Process::start(command(&stack, &pipe));
    let write = OFlag::O_WRONLY | OFlag::O_NONBLOCK;
    let opened = async || nix::fcntl::open(&pipe, write, Mode::empty()).ok();
    let _writer = eventually("it waits for the first line", opened).await;
    waiting.signal(Signal::SIGTERM);
    waiting.line_with("SIGTERM stopped the import");
    assert_eq!(waiting.ended().await.code(), Some(1));

    fs::write(&file, format!("{token},shop/7,,\n")).unwrap();
    let (code, _, stderr) = finished(command(&stack, &file));
    assert_eq!(code, Some(1));
    assert!(stderr.ends_with(&format!("does not begin with the header {HEADER}\n")), "{stderr}");
    assert!(!stderr.contains(&token));
}

/// The rows of a result stand for the lines of its own file.
#[tokio::test]
async fn a_result_of_another_file_is_not_gone_on_with() {
    let stack = started(On::Sqlite).await;
    let token = stack.sandbox.token(BAKERY, 2 * DAY).await;
    let result = stack.folder.path().join("result.csv");
    let import = |owner: &str| {
        let file = written(&stack, "tokens.csv", &[format!("{token},{owner},,")]);
        let mut import = command(&stack, &file);
        import.arg("--out").arg(&result);
        finished(import)
    };
    assert_eq!(import("shop/7").0, Some(0));
    let (code, _, stderr) = import("shop/8");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("line 2 has another owner than in the result"), "{stderr}");
}
