//! The keeper over the wire: tokens stay alive by themselves, also where replicas are killed.

use std::collections::BTreeMap;
use std::thread;

use fastrand::Rng;
use ig_proto::v1::{AccountStatus, InstagramAccount, ListRequest};
use nix::sys::signal::Signal;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{HOUR, On, Place, Sandbox, Service, Stack, eventually};

const KEEPS: (&str, &str) = ("KEEPER", "true");
const DAY: i64 = 24 * HOUR;

/// Number of accounts that live through the ninety days.
const ACCOUNTS: usize = 50;

/// Number of accounts that are due when replicas are killed.
const DUE: usize = 80;

/// Number of kills that a test run plays on each database.
const KILLS: u64 = 3;

/// Maximum number of visits of one replica at once.
const IN_FLIGHT: usize = 8;

/// Links so many accounts of one owner.
async fn link(service: &Service, sandbox: &Sandbox, number: usize) {
    let names: Vec<_> = (0..number).map(|n| format!("keeper_{n}")).collect();
    let accounts: Vec<_> = names.iter().map(|name| json!({ "username": name })).collect();
    sandbox.control(Method::POST, "accounts", Some(Value::Array(accounts))).await;
    for name in &names {
        service.linked(sandbox, "shop/7", name).await;
    }
}

async fn listed(service: &Service) -> Vec<InstagramAccount> {
    let request = ListRequest { page_size: 500, ..Default::default() };
    service.list(request).await.unwrap().accounts
}

/// Refresh requests that Instagram answered, by account.
async fn renewals(sandbox: &Sandbox) -> BTreeMap<String, usize> {
    let mut renewals = BTreeMap::new();
    for request in sandbox.requests("refresh").await {
        assert_eq!(request["status"], 200, "{request}");
        let account = request["account"].as_str().unwrap().to_owned();
        *renewals.entry(account).or_default() += 1;
    }
    renewals
}

/// Waits until the keepers have done all that is due: nothing is in the past, and no profile is older than a day.
async fn all_is_done(service: &Service, sandbox: &Sandbox) {
    let now = sandbox.now_seconds().await;
    eventually("all that is due is done", async || {
        let accounts = listed(service).await;
        let done = accounts.iter().all(|account| {
            let seconds =
                |time: Option<prost_types::Timestamp>| time.map_or(0, |time| time.seconds);
            seconds(account.next_refresh_time) > now
                && seconds(account.profile_time) > now - DAY - 1
        });
        done.then_some(())
    })
    .await;
}

#[tokio::test]
async fn fifty_accounts_live_through_ninety_days_without_anybody_calling() {
    let stack = Stack::start_with(&[KEEPS]).await;
    link(&stack.service, &stack.sandbox, ACCOUNTS).await;
    for _ in 0..90 * 4 {
        stack.sandbox.advance(6 * HOUR).await;
        all_is_done(&stack.service, &stack.sandbox).await;
    }
    for account in listed(&stack.service).await {
        assert_eq!(account.status(), AccountStatus::Active, "{account:?}");
        assert_eq!(account.refresh_trouble, None, "{account:?}");
    }
    let renewals = renewals(&stack.sandbox).await;
    assert_eq!(renewals.len(), ACCOUNTS);
    assert!(renewals.values().all(|times| (2..=3).contains(times)), "{renewals:?}");
}

#[tokio::test]
async fn a_replica_without_a_keeper_leaves_due_accounts_alone() {
    let stack = Stack::start().await;
    link(&stack.service, &stack.sandbox, 1).await;
    stack.sandbox.advance(40 * DAY).await;
    stack.service.clock_follows(&stack.sandbox).await;
    let keeping = stack.folder.serve(&stack.sandbox, &[KEEPS]).await;
    all_is_done(&keeping, &stack.sandbox).await;
    let renewals = renewals(&stack.sandbox).await;
    assert_eq!(renewals.into_values().collect::<Vec<_>>(), [1], "by the one that keeps");
}

/// `KEEPER_KILLS` says how many are played, and `KEEPER_SEED` which is the first.
#[rstest]
#[case::two_on_a_server(On::Postgres, 2)]
#[case::four_on_a_server(On::Postgres, 4)]
#[case::two_on_a_file(On::Sqlite, 2)]
fn a_kill_at_any_moment_leaves_nobody_out(#[case] on: On, #[case] replicas: usize) {
    let (first, kills) = (number("KEEPER_SEED", 0), number("KEEPER_KILLS", KILLS));
    let playing = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.unwrap().block_on(play(on, replicas, first..first + kills));
    });
    playing.join().expect("the round named above failed");
}

async fn play(on: On, number: usize, seeds: std::ops::Range<u64>) {
    let (place, sandbox) = (Place::new(on).await, Sandbox::start().await);
    let in_flight = IN_FLIGHT.to_string();
    let settings = [KEEPS, ("KEEPER_IN_FLIGHT", &in_flight)];
    let mut replicas = Vec::new();
    for _ in 0..number {
        replicas.push(place.serve(&sandbox, &settings).await);
    }
    link(&replicas[0], &sandbox, DUE).await;
    for seed in seeds {
        let mut random = Rng::with_seed(seed);
        sandbox.control(Method::DELETE, "requests", None).await;
        sandbox.clear_faults().await;
        sandbox.fault(json!({ "endpoint": "refresh", "delay_ms": random.u64(20..60) })).await;
        sandbox.advance(37 * DAY).await;
        sandbox.reached("refresh", random.usize(1..DUE / 2)).await;
        let victim = random.usize(0..number);
        replicas[victim].process.ended_by(Signal::SIGKILL).await;
        replicas[victim] = place.serve(&sandbox, &settings).await;
        all_is_done(&replicas[(victim + 1) % number], &sandbox).await;
        let renewals = renewals(&sandbox).await;
        let repeated = renewals.values().filter(|times| **times > 1).count();
        assert_eq!(renewals.len(), DUE, "seed {seed}");
        assert!(renewals.values().all(|times| *times <= 2), "seed {seed}: {renewals:?}");
        // Its calls that were under way, and its results that waited to be stored.
        assert!(repeated <= 2 * IN_FLIGHT, "seed {seed}: {repeated} were renewed twice");
    }
    tokens_serve(&replicas[0], &sandbox).await;
}

/// The stored tokens are those that Instagram gave last.
async fn tokens_serve(service: &Service, sandbox: &Sandbox) {
    for account in listed(service).await {
        assert_eq!(account.status(), AccountStatus::Active, "{account:?}");
        let fetched = service.fetch(&account.account_id, 1).await.unwrap();
        sandbox.me(&fetched.access_token).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever plays more says how many")]
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |number| number.parse().unwrap())
}

/// Visits under way end, and are stored, before the process does.
#[tokio::test]
async fn a_stop_loses_no_renewal() {
    let mut stack = Stack::start_with(&[KEEPS, ("KEEPER_IN_FLIGHT", "64")]).await;
    link(&stack.service, &stack.sandbox, 20).await;
    stack.sandbox.fault(json!({ "endpoint": "refresh", "delay_ms": 500 })).await;
    stack.sandbox.advance(37 * DAY).await;
    stack.sandbox.reached("refresh", 20).await;
    let ended = stack.service.process.ended_by(Signal::SIGTERM).await;
    assert!(ended.success(), "{ended:?}");
    let next = stack.folder.serve(&stack.sandbox, &[]).await;
    let now = stack.sandbox.now_seconds().await;
    for account in listed(&next).await {
        assert!(account.next_refresh_time.unwrap().seconds > now, "{account:?}");
    }
    let mut stopped = stack.sandbox.requests("refresh").await;
    stopped.retain(|request| request["status"] == 200);
    assert_eq!(stopped.len(), 20);
}
