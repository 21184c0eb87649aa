//! `keys rotate` beside a service that hands tokens out, killed twice, until the former key can be taken out.
//!
//! `ROTATED_TOKENS=100000` seals more than a usual run anew; with `--nocapture` it says how long calls took.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ig_adapters::sealing::KeyRing;
use ig_domain::ports::{SealContext, TokenCipher as _};
use nix::sys::signal::Signal;
use rstest::rstest;
use uuid::Uuid;

use super::{FORMER, NEWER};
use crate::support::latencies::Latencies;
use crate::support::process::Process;
use crate::support::sandbox::BAKERY;
use crate::support::{On, Place, Sandbox, Service, Stack, eventually, number};

/// Number of accounts in a usual run.
const ACCOUNTS: u64 = 3_000;

/// Accounts that one statement inserts.
const INSERTED: u64 = 500;

/// One token in so many is handed out once the former key is taken out.
const SAMPLED: usize = 30;

fn account_id(number: u64) -> Uuid {
    Uuid::from_u64_pair(0x0199_0000_0000_7000, number)
}

/// These bytes, or this id where they are one, in a statement.
fn literal(on: On, bytes: &[u8]) -> String {
    let digits = bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    match (on, bytes.len()) {
        (On::Sqlite, _) => format!("x'{digits}'"),
        (On::Postgres, 16) => format!("'{digits}'"),
        (On::Postgres, _) => format!("'\\x{digits}'"),
    }
}

/// Puts accounts there whose tokens are sealed under the former key, and live for 60 days.
async fn insert_accounts(place: &Place, sandbox: &Sandbox, on: On, accounts: u64) {
    let (ring, app): (KeyRing, _) = (FORMER.parse().unwrap(), &sandbox.app_id);
    let now = sandbox.now_seconds().await * 1_000_000;
    let end = now + 60 * 24 * 3_600_000_000;
    for first in (0..accounts).step_by(INSERTED.try_into().unwrap()) {
        let (mut rows, mut tokens) = (Vec::new(), Vec::new());
        for number in first..accounts.min(first + INSERTED) {
            let id = account_id(number);
            let row = id.as_bytes().to_vec();
            let context = SealContext { table: "account_token", row, purpose: "long-lived token" };
            let sealed = ring.seal(&context, &format!("IGAA-{number}")).unwrap();
            let (id, sealed) = (literal(on, id.as_bytes()), literal(on, &sealed));
            rows.push(format!(
                "({id}, '{app}', '7000{number}', 'shop/{number}', 'user.{number}', 'business', \
                 {now}, {now}, {end}, {now}, {now}, {now}, 1, 1)"
            ));
            tokens.push(format!("({id}, {sealed}, 'k1')"));
        }
        let columns = "id, app_id, professional_account_id, owner, username, account_type, consent_time, \
                       token_issue_time, token_expire_time, link_time, profile_time, update_time, revision, \
                       event_revision";
        let rows = rows.join(", ");
        place.run(&format!("INSERT INTO instagram_account ({columns}) VALUES {rows}")).await;
        let (columns, tokens) = ("account_id, sealed_token, key_id", tokens.join(", "));
        place.run(&format!("INSERT INTO account_token ({columns}) VALUES {tokens}")).await;
    }
}

/// Number of tokens that are sealed under this key.
async fn under(place: &Place, key: &str) -> i64 {
    let count = format!("SELECT count(*) FROM account_token WHERE key_id = '{key}'");
    place.number(&count).await
}

/// A command `keys …` with these keys.
fn keys(stack: &Stack, command: &str, token_keys: &str) -> Command {
    let mut process = stack.folder.settings(&stack.sandbox);
    process.env("TOKEN_KEYS", token_keys).args(["keys", command]);
    process
}

/// Exit code and output of a command, however long it takes.
async fn output(mut command: Command) -> (Option<i32>, String) {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

/// Fetches tokens of so many accounts, one after the other, until told to stop.
async fn fetch_until(stop: Arc<AtomicBool>, client: Arc<Service>, accounts: u64) -> Latencies {
    let (mut fetched, mut number) = (Latencies::default(), 0);
    while !stop.load(Ordering::Relaxed) {
        number = (number + 617) % accounts;
        let id = account_id(number).to_string();
        let handed = fetched.time(client.fetch(&id, 0)).await.unwrap();
        assert_eq!(handed.access_token, format!("IGAA-{number}"));
    }
    fetched
}

#[rstest]
#[tokio::test]
async fn a_rotation_that_is_killed_goes_on_while_tokens_are_handed_out(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let (old_first, new_first) = (format!("{FORMER},{NEWER}"), format!("{NEWER},{FORMER}"));
    let mut stack = Stack::start_on(on, &[("TOKEN_KEYS", FORMER)]).await;
    // From here on the database is migrated.
    let linked = stack.service.linked(&stack.sandbox, "", BAKERY).await.account_id;
    let accounts = number("ROTATED_TOKENS", ACCOUNTS);
    insert_accounts(&stack.folder, &stack.sandbox, on, accounts).await;

    let (code, printed) = output(keys(&stack, "rotate", &new_first)).await;
    let too_early = r#"no service has started with the key "k2" yet"#;
    assert!(code == Some(1) && printed.contains(too_early), "{code:?}: {printed}");
    stack.service.process.stop();
    let replica = async |keys: &str| {
        let replica = stack.folder.serve(&stack.sandbox, &[("TOKEN_KEYS", keys)]).await;
        eventually("it opens tokens", async || replica.fetch(&linked, 0).await.ok()).await;
        Arc::new(replica)
    };
    let mut replicas = vec![replica(&new_first).await];
    if on == On::Postgres {
        replicas.push(replica(&old_first).await);
    }

    let stop = Arc::new(AtomicBool::new(false));
    let fetch = |replica| tokio::spawn(fetch_until(Arc::clone(&stop), replica, accounts));
    let fetchers: Vec<_> = replicas.into_iter().map(fetch).collect();
    for killed in 0..2 {
        let before = under(&stack.folder, "k2").await;
        let mut rotation = Process::start(keys(&stack, "rotate", &new_first));
        eventually("some tokens are sealed anew", async || {
            (under(&stack.folder, "k2").await >= before + 200).then_some(())
        })
        .await;
        rotation.ended_by(Signal::SIGKILL).await;
        assert!(under(&stack.folder, "k1").await > 0, "kill {killed} came too late");
    }
    let (begin, left) = (Instant::now(), under(&stack.folder, "k1").await);
    let (code, printed) = output(keys(&stack, "rotate", &new_first)).await;
    println!("{on:?}: the last {left} in {:?}\n{printed}", begin.elapsed());
    let unneeded = "k1: the database does not need it; if it was ever first, backups made before";
    assert!(code == Some(0) && printed.contains(unneeded), "{code:?}: {printed}");
    assert_eq!(under(&stack.folder, "k1").await, 0);
    stop.store(true, Ordering::Relaxed);
    for fetcher in fetchers {
        let mut fetched = fetcher.await.unwrap();
        assert!(fetched.number() > 10, "tokens were handed out all the time");
        fetched.print(&format!("{on:?}, {accounts} tokens are sealed anew"));
    }

    let (_, shown) = output(keys(&stack, "status", NEWER)).await;
    assert!(shown.contains("\nk2") && !shown.contains("\nk1"), "{shown}");
    let alone = replica(NEWER).await;
    for number in (0..accounts).step_by(SAMPLED) {
        let handed = alone.fetch(&account_id(number).to_string(), 0).await.unwrap();
        assert_eq!(handed.access_token, format!("IGAA-{number}"));
    }
}
