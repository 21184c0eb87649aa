//! The load of `cargo xtask bench --links`: callers who link at once.
//!
//! `link_load URL AT_ONCE FILE` makes one call of `Link` at `URL` for each line of `FILE`, an authorization response for
//! the owner `demo`, so many at once. Prints the median and the 99th percentile of the time that a call takes, in
//! microseconds. Every call must make an account.
#![expect(clippy::unwrap_used, reason = "whoever starts a benchmark reads its panics")]

use std::sync::{Arc, Mutex};
use std::time::Instant;

use ig_proto::v1::LinkRequest;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use tokio::task::JoinSet;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "whoever measures reads it there")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, at_once, file] = &arguments[..] else { panic!("needs URL, AT_ONCE and FILE") };
    let responses = std::fs::read_to_string(file).unwrap();
    let responses: Vec<_> = responses.lines().map(str::to_owned).collect();
    let responses = Arc::new(Mutex::new(responses));
    let client = InstagramAccountServiceClient::connect(url.clone()).await.unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..at_once.parse().unwrap() {
        let (mut client, responses) = (client.clone(), Arc::clone(&responses));
        callers.spawn(async move {
            let mut times = Vec::new();
            loop {
                let Some(authorization_response) = responses.lock().unwrap().pop() else {
                    return times;
                };
                let owner = "demo".to_owned();
                let request =
                    LinkRequest { authorization_response, owner, ..LinkRequest::default() };
                let started = Instant::now();
                let linked = client.link(request).await.unwrap().into_inner();
                times.push(started.elapsed().as_micros());
                assert!(linked.created);
            }
        });
    }
    let mut times = callers.join_all().await.concat();
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap();
    println!("{} {}", at(50), at(99));
}
