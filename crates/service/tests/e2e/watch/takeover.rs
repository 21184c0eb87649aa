//! A consumer that one stream holds is another one's once the holder is gone.

use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ig_proto::v1::watch_request::From;
use ig_proto::v1::{WatchRequest, WatchResponse, WatchStart};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::time::timeout;
use tonic::Streaming;

use crate::support::compose::{ComposeStack, REPLICAS, root};
use crate::support::process::Process;
use crate::support::sandbox::BAKERY;
use crate::support::{Service, TEST_TIMEOUT, eventually, tool};

/// Maximum time to take over from a stream that ended: a second, and one for a busy machine.
const MAX_TIME_AFTER_END: Duration = Duration::from_secs(2);

/// Maximum time to take over from a replica that died, or a client that vanished.
const MAX_TAKEOVER_TIME: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_consumer_is_taken_over_from_whatever_held_it() {
    let (stack, [one, other]) = ComposeStack::start().await;
    one.linked(&stack.sandbox, "shop/7", BAKERY).await;
    let (holder, mut next) = (holding(&one, "ended").await, waiting(&other, "ended").await);
    drop(holder);
    let ended = taken_over(&mut next).await;
    assert!(ended < MAX_TIME_AFTER_END, "{ended:?} after the stream's end");

    let mut proxied =
        grpcurl_holding(stack.proxy.url.trim_start_matches("http://"), "killed-client").await;
    let is_first = stack.proxy.is_used(REPLICAS[0]).await;
    let (mut victim, survivor) = if is_first { (other, one) } else { (one, other) };
    // Its kernel keeps the connection, and nobody answers there any more.
    let silent = grpcurl_holding(&survivor.address, "silent-client").await;
    let _held = holding(&victim, "killed-replica").await;
    let consumers = ["killed-client", "silent-client", "killed-replica"];
    let waiting = join_all(consumers.map(|consumer| waiting(&survivor, consumer))).await;
    proxied.ended_by(Signal::SIGKILL).await;
    silent.signal(Signal::SIGSTOP);
    victim.process.ended_by(Signal::SIGKILL).await;
    let taking = waiting.into_iter().map(async |mut stream| taken_over(&mut stream).await);
    for (consumer, took) in consumers.iter().zip(join_all(taking).await) {
        assert!(took < MAX_TAKEOVER_TIME, "{consumer}: {took:?}");
    }
}

/// A stream that holds this consumer, and commits nothing.
async fn holding(service: &Service, consumer: &str) -> Streaming<WatchResponse> {
    let from = Some(From::Start(WatchStart::Earliest.into()));
    let request = WatchRequest { from, consumer: consumer.to_owned(), ..Default::default() };
    let mut stream = service.client.clone().watch(request).await.unwrap().into_inner();
    assert_ne!(stream.message().await.unwrap().unwrap().cursor, "");
    stream
}

/// A process whose stream holds this consumer, and commits nothing.
async fn grpcurl_holding(address: &str, consumer: &str) -> Process {
    let request = json!({ "consumer": consumer, "start": "WATCH_START_EARLIEST" }).to_string();
    let mut command = Command::new(tool("GRPCURL"));
    // With the files, for a question to the reflection service would be a stream as well.
    command.current_dir(root().join("proto"));
    command.args(["-proto", "instagram/accounts/v1/instagram_account_service.proto"]);
    command.args(["-plaintext", "-d", &request, address]);
    command.arg("instagram.accounts.v1.InstagramAccountService/Watch");
    let process = Process::start(command);
    eventually("the process holds the consumer", async || {
        process.printed().contains("\"cursor\"").then_some(())
    })
    .await;
    process
}

/// A stream that waits for this consumer, which another one holds.
async fn waiting(service: &Service, consumer: &str) -> Streaming<WatchResponse> {
    let request = WatchRequest { consumer: consumer.to_owned(), ..Default::default() };
    let mut stream = service.client.clone().watch(request).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().cursor, "", "it is held");
    stream
}

/// Time until the stream is told what the former holder has not committed.
async fn taken_over(stream: &mut Streaming<WatchResponse>) -> Duration {
    let begin = Instant::now();
    let waiting = async { while stream.message().await.unwrap().unwrap().events.is_empty() {} };
    timeout(TEST_TIMEOUT, waiting).await.expect("it is taken over");
    begin.elapsed()
}
