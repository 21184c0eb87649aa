//! The load of `cargo xtask bench --watch`: writers, and streams that are told what they write.
//!
//! `watch_load WRITE_URL TOKEN ACCOUNTS PER_SECOND [WATCH_URL (own|all) TOKEN...]` unlinks so many accounts at
//! `WRITE_URL`, so many a second or, where that is 0, as fast as a few callers at once can. Meanwhile each caller of a
//! further `TOKEN` has ten streams at `WATCH_URL`: each for one of the owners `shop/0` to `shop/99`, or each for all.
//! Prints the writes for each second, and the median and the 99th percentile of the time from an event's `event_time`,
//! which is before its commit, to its arrival at a stream, in microseconds. All clocks must be one machine's.
#![expect(clippy::unwrap_used, reason = "whoever starts a benchmark reads its panics")]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use ig_proto::v1::watch_request::From;
use ig_proto::v1::{ListRequest, UnlinkRequest, WatchRequest, WatchResponse, WatchStart};
use tokio::task::JoinSet;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Streaming};

/// Number of writes under way at once: fewer than a process has connections to PostgreSQL.
const WRITERS: usize = 8;

/// Number of streams of each caller.
const STREAMS: usize = 10;

/// Maximum time of the whole.
const TIMEOUT: Duration = Duration::from_mins(3);

type Client = InstagramAccountServiceClient<Channel>;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    tokio::time::timeout(TIMEOUT, measure(&arguments)).await.unwrap();
}

#[expect(clippy::print_stdout, reason = "whoever measures reads it there")]
async fn measure(arguments: &[String]) {
    let [write_url, token, accounts, per_second, watching @ ..] = arguments else {
        panic!("needs WRITE_URL, TOKEN, ACCOUNTS and PER_SECOND");
    };
    let writer = Caller::connect(write_url, token).await;
    let accounts = accounts_to_unlink(&writer, accounts.parse().unwrap()).await;
    let streams = open_streams(watching, &accounts).await;
    let per_second = unlink_all(&writer, accounts, per_second.parse().unwrap()).await;
    let mut latencies = streams.join_all().await.concat();
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied();
    let [p50, p99] = [50, 99].map(|percent| at(percent).unwrap_or_default());
    println!("{per_second:.0} {p50} {p99}");
}

/// A caller and its connection.
#[derive(Clone)]
struct Caller {
    client: Client,
    authorization: MetadataValue<Ascii>,
}

impl Caller {
    async fn connect(url: &str, token: &str) -> Self {
        let client = Client::connect(url.to_owned()).await.unwrap();
        Self { client, authorization: format!("Bearer {token}").parse().unwrap() }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }

    /// A stream of what happens from now on, behind its first message.
    async fn watch(&self, owner: Option<String>) -> Streaming<WatchResponse> {
        let from = Some(From::Start(WatchStart::Now.into()));
        let request = self.request(WatchRequest { from, owner, ..WatchRequest::default() });
        let mut stream = self.client.clone().watch(request).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        stream
    }
}

/// Id and owner of each account that is to be unlinked.
async fn accounts_to_unlink(caller: &Caller, number: usize) -> Vec<(String, String)> {
    let (mut accounts, mut page_token) = (Vec::new(), String::new());
    while accounts.len() < number {
        let request = ListRequest { page_size: 500, page_token, ..ListRequest::default() };
        let page = caller.client.clone().list(caller.request(request)).await.unwrap().into_inner();
        accounts.extend(page.accounts.into_iter().map(|one| (one.account_id, one.owner)));
        page_token = page.next_page_token;
        assert!(accounts.len() >= number || !page_token.is_empty(), "there are too few accounts");
    }
    accounts.truncate(number);
    accounts
}

/// Streams that run until they were told all that happens to `accounts` and their owners. They answer how long each
/// event took.
async fn open_streams(watching: &[String], accounts: &[(String, String)]) -> JoinSet<Vec<u64>> {
    let mut streams = JoinSet::new();
    let [url, owners, tokens @ ..] = watching else { return streams };
    let mut accounts_of = HashMap::new();
    for (_, owner) in accounts {
        *accounts_of.entry(owner.as_str()).or_insert(0) += 1;
    }
    let mut numbers = 0..;
    for token in tokens {
        let caller = Caller::connect(url, token).await;
        for number in numbers.by_ref().take(STREAMS) {
            let owner = (owners == "own").then(|| format!("shop/{number}"));
            let own = owner.as_deref().and_then(|owner| accounts_of.get(owner).copied());
            let expected = if owner.is_some() { own.unwrap_or_default() } else { accounts.len() };
            let stream = caller.watch(owner).await;
            streams.spawn(follow(stream, expected));
        }
    }
    streams
}

/// Reads so many events; answers the microseconds from the time of each to its arrival.
async fn follow(mut stream: Streaming<WatchResponse>, expected: usize) -> Vec<u64> {
    let mut latencies = Vec::with_capacity(expected);
    while latencies.len() < expected {
        let message = stream.message().await.unwrap().unwrap();
        let now = now();
        let times = message.events.into_iter().map(|event| event.event_time.unwrap());
        let times = times.map(|time| SystemTime::try_from(time).unwrap());
        // The store's clock may show a few microseconds that ours does not.
        let latencies_now = times.map(|time| now.duration_since(time).unwrap_or_default());
        latencies.extend(latencies_now.map(|latency| u64::try_from(latency.as_micros()).unwrap()));
    }
    latencies
}

#[expect(clippy::disallowed_methods, reason = "it is compared with the clock of the store")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Unlinks them, so many a second or, where that is 0, as fast as it goes; answers how many each second.
async fn unlink_all(caller: &Caller, accounts: Vec<(String, String)>, per_second: u32) -> f64 {
    let number = u32::try_from(accounts.len()).unwrap();
    let interval = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
    let begin = Instant::now();
    let ids = accounts.into_iter().map(|(id, _)| id);
    let due = (0..).map(|index| begin + interval * index).zip(ids);
    let left = Arc::new(Mutex::new(due.collect()));
    let writers = (0..WRITERS).map(|_| unlink(caller.clone(), Arc::clone(&left)));
    writers.collect::<JoinSet<()>>().join_all().await;
    f64::from(number) / begin.elapsed().as_secs_f64()
}

/// Unlinks one after the other, each when it is due, until none is left.
async fn unlink(mut caller: Caller, left: Arc<Mutex<VecDeque<(Instant, String)>>>) {
    loop {
        let next = left.lock().unwrap().pop_front();
        let Some((due, account_id)) = next else { return };
        tokio::time::sleep_until(due.into()).await;
        let request = caller.request(UnlinkRequest { account_id, ..UnlinkRequest::default() });
        caller.client.unlink(request).await.unwrap();
    }
}
