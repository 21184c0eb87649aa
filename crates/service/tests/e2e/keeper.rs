//! The keeper over the wire: tokens stay alive by themselves, also where replicas are killed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::thread;

use fastrand::Rng;
use ig_proto::v1::{AccountStatus, InstagramAccount, ListRequest};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{HOUR, On, Place, Sandbox, Service, Stack, eventually, number};

const KEEPS: (&str, &str) = ("KEEPER", "true");
const DAY: i64 = 24 * HOUR;

/// Number of accounts that live through the ninety days.
const ACCOUNTS: usize = 50;

/// Number of accounts that are due when replicas are killed.
const DUE: usize = 80;

/// Number of rounds that a test run plays on each database.
const ROUNDS: u64 = 1;

/// Number of kills in a round, whose leases end together.
const KILLS: usize = 3;

/// Maximum number of visits of one replica at once.
const IN_FLIGHT: usize = 8;

/// Maximum number of renewals that a kill repeats: calls that were under way, and results that waited to be stored.
const MAX_LOST: usize = 2 * IN_FLIGHT;

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

/// Replicas on a server and on a file play at the same time: most of it they wait for leases of the killed to end.
/// `KEEPER_ROUNDS` says how many rounds are played, and `KEEPER_SEED` which is the first.
#[test]
fn a_kill_at_any_moment_leaves_nobody_out() {
    let (first, rounds) = (number("KEEPER_SEED", 0), number("KEEPER_ROUNDS", ROUNDS));
    let stages = [(On::Postgres, 2), (On::Postgres, 4), (On::Sqlite, 2)];
    let playing = stages.map(|(on, replicas)| {
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.unwrap().block_on(play(on, replicas, first..first + rounds));
        })
    });
    for playing in playing {
        playing.join().expect("the round named above failed");
    }
}

async fn play(on: On, number: usize, seeds: Range<u64>) {
    let (place, sandbox) = (Place::new(on).await, Sandbox::start().await);
    let in_flight = IN_FLIGHT.to_string();
    let settings = [KEEPS, ("KEEPER_IN_FLIGHT", &in_flight)];
    let mut replicas = Vec::new();
    for _ in 0..number {
        replicas.push(place.serve(&sandbox, &settings).await);
    }
    link(&replicas[0], &sandbox, DUE).await;
    for seed in seeds {
        let (mut random, round) =
            (Rng::with_seed(seed), format!("{number} on {on:?}, seed {seed}"));
        sandbox.control(Method::DELETE, "requests", None).await;
        sandbox.clear_faults().await;
        sandbox.fault(json!({ "endpoint": "refresh", "delay_ms": random.u64(100..300) })).await;
        sandbox.advance(37 * DAY).await;
        for kill in 0..KILLS {
            let share = DUE / (KILLS + 1);
            sandbox.reached("refresh", random.usize(kill * share + 1..(kill + 1) * share)).await;
            let victim = random.usize(0..number);
            replicas[victim].process.ended_by(Signal::SIGKILL).await;
            replicas[victim] = place.serve(&sandbox, &settings).await;
        }
        all_is_done(&replicas[random.usize(0..number)], &sandbox).await;
        let renewals = renewals(&sandbox).await;
        let repeated: usize = renewals.values().map(|times| times - 1).sum();
        assert_eq!(renewals.len(), DUE, "{round}");
        assert!(repeated <= KILLS * MAX_LOST, "{round}: {renewals:?}");
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
