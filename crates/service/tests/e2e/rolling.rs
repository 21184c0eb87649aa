//! Both replicas are restarted, one after the other, while callers work through the stack's own proxy and one of them
//! follows every change.

mod load;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use self::load::{Caller, Tally, work};
use crate::support::account_copy::AccountCopy;
use crate::support::clients::{Client, Clients};
use crate::support::compose::{ComposeStack, REPLICAS};
use crate::support::sandbox::BAKERY;
use crate::support::{A_DAY_LATER, Service};

const CALLERS: usize = 8;

/// Number of accounts that each caller can renew.
const AGED: usize = 8;

/// Minimum number of restarts of each replica.
const ROUNDS: usize = 3;

/// Maximum number of restarts, until calls of each of [`SLOW_RPCS`] were under way at a stop.
const MAX_ROUNDS: usize = 20;

/// RPCs that ask Instagram while callers wait.
const SLOW_RPCS: [&str; 2] = ["Link", "Refresh"];

/// Time that Instagram takes for each answer, in milliseconds: long enough for links and renewals to be under way
/// at every stop.
const SLOW: u32 = 300;

#[tokio::test]
async fn a_rolling_restart_fails_no_call() {
    let (stack, mut replicas) = ComposeStack::start().await;
    let sandbox = &stack.sandbox;
    let callers =
        join_all((0..CALLERS).map(|caller| caller_of(&stack, &replicas[0], caller))).await;
    sandbox.advance(A_DAY_LATER).await;
    for service in &replicas {
        service.clock_follows(sandbox).await;
    }
    sandbox.fault(json!({ "endpoint": "all", "delay_ms": SLOW })).await;

    let stop = CancellationToken::new();
    let restarts = async {
        let mut stopped = String::new();
        for round in 1..=MAX_ROUNDS {
            for (replica, name) in replicas.iter_mut().zip(REPLICAS) {
                let printed = stack.restart(replica, name).await;
                let (_, since_the_stop) = printed.split_once("stopping").expect("it was told");
                stopped.push_str(since_the_stop);
            }
            if round >= ROUNDS && SLOW_RPCS.iter().all(|rpc| answered(&stopped, rpc)) {
                break;
            }
        }
        stop.cancel();
        stopped
    };
    let clients = Clients::of([through_proxy(&stack).await]);
    let mut copy = AccountCopy::default();
    let changes = async { tokio::join!(work(callers, &stop), restarts) };
    let (tally, stopped) = copy.follow(&clients, changes).await;
    let last = replicas[0].linked(sandbox, "last", BAKERY).await;
    copy.assert_ends_at(&clients, &last).await;
    assert!(copy.lists == 1 && copy.resumes > 0, "{} and {}", copy.lists, copy.resumes);
    report(&stack, &tally).await;
    assert_eq!(*tally.failures.borrow(), [""; 0]);
    assert!(tally.links.get() > 0 && tally.renewals.get() > 0, "{tally:?}");
    for rpc in SLOW_RPCS {
        assert!(answered(&stopped, rpc), "no {rpc} was under way at a stop:\n{stopped}");
    }
}

/// Whether such a call was answered in this piece of a log.
fn answered(log: &str, rpc: &str) -> bool {
    log.contains(&format!("call answered rpc=\"{rpc}\""))
}

/// A caller with accounts to renew, linked at a replica itself.
async fn caller_of<'a>(stack: &'a ComposeStack, replica: &Service, caller: usize) -> Caller<'a> {
    let sandbox = &stack.sandbox;
    let owner = format!("caller/{caller}");
    let add = async |username: &str| {
        let account = Some(json!({ "username": username }));
        sandbox.control(Method::POST, "accounts", account).await;
    };
    let mut aged = Vec::new();
    for number in 0..AGED {
        let username = format!("aged_{caller}_{number}");
        add(&username).await;
        aged.push(replica.linked(sandbox, &owner, &username).await);
    }
    let username = format!("fresh_{caller}");
    add(&username).await;
    Caller { client: through_proxy(stack).await, sandbox, owner, username, aged }
}

async fn through_proxy(stack: &ComposeStack) -> Client {
    let channel = Channel::from_shared(stack.proxy.url.clone()).unwrap().connect().await.unwrap();
    Client::new(channel)
}

/// Shows the figures of the run where a test's output is shown.
#[expect(clippy::print_stderr, reason = "how many calls were made again is worth knowing")]
async fn report(stack: &ComposeStack, tally: &Tally) {
    eprintln!("{tally:?}");
    for replica in REPLICAS {
        eprintln!("{}", stack.proxy.counted(replica).await);
    }
}
