//! Many callers at once, and what Instagram sees of them.

use futures_util::future::join_all;
use ig_proto::v1::{LinkRequest, TokenOutcome};
use rstest::rstest;
use serde_json::{Value, json};

#[cfg(target_os = "linux")]
use crate::support::process::Thread;
use crate::support::sandbox::BAKERY;
use crate::support::{A_DAY_LATER, On, Stack};

const CALLERS: usize = 50;

#[rstest]
#[tokio::test]
async fn one_code_presented_to_two_processes_by_many_callers_is_exchanged_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stack = Stack::start_on(on, &[]).await;
    let replica = stack.replica().await;
    let Stack { sandbox, service, .. } = &stack;
    // Long enough for every caller to come before there is an answer.
    sandbox.fault(json!({ "endpoint": "token", "delay_ms": 300 })).await;
    let request = service.consent(sandbox, "shop/7", BAKERY).await;
    let calls = [service, &replica].into_iter().cycle().take(CALLERS);
    let answers = join_all(calls.map(|service| service.link(request.clone()))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.len(), CALLERS);
    assert!(answers[0].created);
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    for endpoint in ["token", "exchange", "me"] {
        assert_eq!(sandbox.requests(endpoint).await.len(), 1, "{endpoint}");
    }
}

#[rstest]
#[tokio::test]
async fn an_account_refreshed_at_two_processes_by_many_callers_is_renewed_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stack = Stack::start_on(on, &[]).await;
    let replica = stack.replica().await;
    let Stack { sandbox, service, .. } = &stack;
    let account = service.linked(sandbox, "shop/7", BAKERY).await;
    stack.advance(A_DAY_LATER).await;
    replica.clock_follows(sandbox).await;
    sandbox.fault(json!({ "endpoint": "refresh", "delay_ms": 300 })).await;
    let calls = [service, &replica].into_iter().cycle().take(CALLERS);
    let answers = join_all(calls.map(|service| service.refresh(&account.account_id))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().any(|answer| answer.token_outcome() == TokenOutcome::Renewed));
    let accounts: Vec<_> = answers.into_iter().map(|answer| answer.account.unwrap()).collect();
    assert_eq!(accounts.len(), CALLERS);
    assert_ne!(accounts[0].token_issue_time, account.token_issue_time);
    for refreshed in &accounts {
        assert_eq!(refreshed.token_issue_time, accounts[0].token_issue_time);
        assert_eq!(refreshed.token_expire_time, accounts[0].token_expire_time);
    }
    assert_eq!(sandbox.requests("refresh").await.len(), 1);
}

#[tokio::test]
async fn different_accounts_are_linked_at_the_same_time() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let people = ["mira.paints", "harbour.bakery", "plain_shop"];
    let requests = people.map(|username| service.consent(sandbox, "shop/7", username));
    let requests: Vec<LinkRequest> = join_all(requests).await;
    sandbox.fault(json!({ "endpoint": "token", "delay_ms": 1_000 })).await;
    let answers = join_all(requests.into_iter().map(|request| service.link(request))).await;
    for (answer, username) in answers.into_iter().zip(people) {
        assert_eq!(answer.unwrap().account.unwrap().username, username);
    }
    let asked = sandbox.requests("token").await;
    for [one, other] in asked.array_windows() {
        assert!(overlap(one, other), "{asked:?}");
    }
}

#[tokio::test]
async fn a_link_waits_for_two_round_trips() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    sandbox.fault(json!({ "endpoint": "all", "delay_ms": 500 })).await;
    service.linked(sandbox, "", BAKERY).await;
    let only = async |endpoint: &str| {
        let requests = sandbox.requests(endpoint).await;
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    };
    let (token, exchange, me) = (only("token").await, only("exchange").await, only("me").await);
    let first = moment(&token, "ended_ms");
    assert!(first <= moment(&exchange, "started_ms") && first <= moment(&me, "started_ms"));
    assert!(overlap(&exchange, &me), "{exchange} {me}");
}

/// Whether two requests were under way at the same time.
fn overlap(one: &Value, other: &Value) -> bool {
    moment(one, "started_ms") < moment(other, "ended_ms")
        && moment(other, "started_ms") < moment(one, "ended_ms")
}

fn moment(request: &Value, name: &str) -> u64 {
    request[name].as_u64().unwrap()
}

#[cfg(target_os = "linux")]
#[rstest]
#[tokio::test]
async fn connections_have_precedence_over_the_store_and_background_work(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stack = Stack::start_on(on, &[]).await;
    stack.service.linked(&stack.sandbox, "shop/7", BAKERY).await;
    let threads = stack.service.process.threads();
    let named = |prefix: &str| -> Vec<&Thread> {
        threads.iter().filter(|thread| thread.name.starts_with(prefix)).collect()
    };
    let [connections, workers, store] =
        ["connections-", "tokio-rt-worker", "sqlx-sqlite-wor"].map(named);
    let found = [!connections.is_empty(), !workers.is_empty(), !store.is_empty()];
    assert_eq!(found, [true, true, matches!(on, On::Sqlite)], "{threads:?}");
    let mut processors = connections[0].processors.clone();
    if processors.len() > 1 {
        processors.pop_first();
    }
    for other in [vec![&threads[0]], workers, store].concat() {
        // Where the tests have the lowest priority, nothing is lower.
        let is_lower = |one: &&Thread| other.niceness == 19 || other.niceness > one.niceness;
        assert!(connections.iter().all(is_lower), "{threads:?}");
        assert_eq!(other.processors, processors, "{threads:?}");
    }
}
