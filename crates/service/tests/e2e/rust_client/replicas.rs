//! The client behind the stack's proxy, while replicas are restarted and killed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use ig_proto::v1::get_request::Key;
use ig_proto::v1::{EventKind, GetRequest, InstagramAccount, ListRequest, UnlinkRequest};
use instagram_accounts_client::{AccountsClient, Watch, WatchOptions};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{OWNER, connect, watch_cursor};
use crate::support::compose::{ComposeStack, REPLICAS};
use crate::support::eventually;
use crate::support::sandbox::{BAKERY, CREATOR};

/// Number of accounts that go around each stop of a replica, half of them just before it.
const ACCOUNTS: usize = 4;

/// Number of callers that read all the time.
const READERS: usize = 4;

/// Minimum number of calls of each of them.
const MIN_CALLS: usize = 20;

// What starts and stops replicas waits for them without yielding.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_and_each_event_is_told_once_though_replicas_stop_and_die() {
    let (stack, mut replicas) = ComposeStack::start().await;
    let accounts = linked(&stack, &replicas[0]).await;
    let client = connect(stack.proxy.url.trim_start_matches("http://")).await;
    let cursor = watch_cursor(&client).await;
    let all = Follower::of(client.watch(WatchOptions::new().after(&cursor)));
    let named = WatchOptions::new().after(&cursor).consumer("copy").auto_commit();
    let named = Follower::of(client.watch(named));
    let stop = CancellationToken::new();
    let readers: Vec<_> = (0..READERS).map(|_| reading(client.clone(), stop.clone())).collect();

    let (restarted, killed) = accounts.split_at(accounts.len() / 2);
    for (number, accounts) in restarted.chunks(ACCOUNTS).enumerate() {
        let (before, meanwhile) = accounts.split_at(ACCOUNTS / 2);
        unlink_all(&client, before).await;
        let restart = stack.restart(&mut replicas[number], REPLICAS[number]);
        tokio::join!(restart, unlink_all(&client, meanwhile));
    }
    let creator = replicas[0].linked(&stack.sandbox, OWNER, CREATOR).await;
    named.told_each_once(restarted, &[&creator]).await;
    // Its consumer would wait for the lease of a replica that was killed.
    named.task.abort();

    for (number, accounts) in killed.chunks(ACCOUNTS).enumerate() {
        let (before, meanwhile) = accounts.split_at(ACCOUNTS / 2);
        unlink_all(&client, before).await;
        let kill = stack.kill(&mut replicas[number], REPLICAS[number]);
        tokio::join!(kill, unlink_all(&client, meanwhile));
    }
    let bakery = replicas[1].linked(&stack.sandbox, OWNER, BAKERY).await;
    all.told_each_once(&accounts, &[&creator, &bakery]).await;
    stop.cancel();
    let calls = join_all(readers).await.into_iter().map(|calls| calls.expect("no call failed"));
    let calls: Vec<_> = calls.collect();
    assert!(calls.iter().all(|calls| *calls >= MIN_CALLS), "{calls:?}");
}

/// Accounts that are linked at this replica.
async fn linked(stack: &ComposeStack, replica: &crate::support::Service) -> Vec<InstagramAccount> {
    let mut accounts = Vec::new();
    for number in 0..2 * ACCOUNTS * REPLICAS.len() {
        let username = format!("person_{number}");
        let account = json!({ "username": username });
        stack.sandbox.control(Method::POST, "accounts", Some(account)).await;
        accounts.push(replica.linked(&stack.sandbox, OWNER, &username).await);
    }
    accounts
}

/// Reads until the stop, and returns the number of calls. None may fail.
fn reading(client: AccountsClient, stop: CancellationToken) -> JoinHandle<usize> {
    tokio::spawn(async move {
        let mut calls = 0;
        while !stop.is_cancelled() {
            let page = client.list(ListRequest::default()).await.expect("List");
            calls += 1;
            for account in page.accounts {
                let key = Some(Key::AccountId(account.account_id));
                if let Err(refusal) = client.get(GetRequest { key, owner: None }).await {
                    // It was unlinked meanwhile.
                    assert_eq!(
                        refusal.reason().map(ToString::to_string).as_deref(),
                        Some("ACCOUNT_NOT_FOUND"),
                        "{refusal}"
                    );
                }
                calls += 1;
            }
        }
        calls
    })
}

async fn unlink_all(client: &AccountsClient, accounts: &[InstagramAccount]) {
    let unlinking = accounts.iter().map(async |account| {
        // A try whose answer was lost has unlinked it already.
        let account_id = account.account_id.clone();
        let request = UnlinkRequest { account_id, allow_missing: true, owner: None };
        client.unlink(request).await.expect("Unlink");
    });
    join_all(unlinking).await;
}

/// A stream that is read all the time, and all that it told.
struct Follower {
    heard: Arc<Mutex<Vec<(String, EventKind)>>>,
    task: JoinHandle<()>,
}

impl Follower {
    fn of(mut watch: Watch) -> Self {
        let heard = Arc::<Mutex<Vec<_>>>::default();
        let hearing = heard.clone();
        let task = tokio::spawn(async move {
            while let Some(message) = watch.next().await {
                let events = message.expect("it goes on").events.into_iter();
                let events = events.map(|event| (event.account_id.clone(), event.kind()));
                hearing.lock().unwrap().extend(events);
            }
        });
        Self { heard, task }
    }

    /// Waits until the last link is told, and asserts what was told: the end of each of these accounts and the links,
    /// each once.
    async fn told_each_once(&self, unlinked: &[InstagramAccount], linked: &[&InstagramAccount]) {
        let unlinked = unlinked.iter().map(|account| (account, EventKind::Unlinked));
        let linked = linked.iter().map(|account| (*account, EventKind::Linked));
        let expected = unlinked.chain(linked);
        let expected: Vec<_> =
            expected.map(|(account, kind)| (account.account_id.clone(), kind)).collect();
        let last = expected.last().expect("a link");
        let heard = || self.heard.lock().unwrap().clone();
        eventually("the last link is told", async || {
            assert!(!self.task.is_finished(), "the stream ended");
            heard().contains(last).then_some(())
        })
        .await;
        let by_account = |events: &[(String, EventKind)]| {
            let events = events.iter().map(|(id, kind)| (id.clone(), kind.as_str_name()));
            events.collect::<BTreeSet<_>>()
        };
        assert_eq!(by_account(&heard()), by_account(&expected));
        assert_eq!(heard().len(), expected.len(), "an event was told twice: {:?}", heard());
    }
}
