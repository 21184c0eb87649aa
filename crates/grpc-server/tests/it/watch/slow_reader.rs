//! Clients that do not read.

use std::time::Duration;

use h2::client::{Builder, SendRequest};
use http::Request;
use ig_metrics::{Registry, TextFormat};
use ig_proto::v1;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tonic::codegen::Bytes;

use super::{earliest, from, next, next_events, rename, world};
use crate::protocol::framed;
use crate::world::Server;

/// Budget of small frames that wait for their reader, of which h2 0.4.16 to 0.4.18 end a connection.
const BUDGET: usize = 25_600;

/// Window of a connection, as Rust clients have it, in bytes: the answer to another call has room beside what waits.
const CONNECTION_WINDOW: u32 = 5 * 1024 * 1024;

/// A connection of a client whose HTTP/2 library ends it for many small frames.
async fn connect(server: &Server) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let mut builder = Builder::new();
    builder.data_frame_budget(BUDGET).initial_connection_window_size(CONNECTION_WINDOW);
    let handshake = builder.handshake(stream).await;
    let (requests, connection) = handshake.unwrap();
    tokio::spawn(async move { connection.await.unwrap() });
    requests
}

/// Calls a method. Nothing of the answer's body is read until its caller does.
async fn call(requests: &mut SendRequest<Bytes>, method: &str, message: &[u8]) -> h2::RecvStream {
    let uri = format!("http://localhost/{SERVICE_NAME}/{method}");
    let request = Request::post(uri).header("content-type", "application/grpc").body(()).unwrap();
    *requests = requests.clone().ready().await.unwrap();
    let (response, mut body) = requests.send_request(request, false).unwrap();
    body.send_data(Bytes::copy_from_slice(message), true).unwrap();
    response.await.unwrap().into_body()
}

/// Takes the first message of what was received; `None` where it is not whole yet.
fn take_message(received: &mut Vec<u8>) -> Option<v1::WatchResponse> {
    let length = received.get(1..5)?.try_into().unwrap();
    let end = 5 + u32::from_be_bytes(length) as usize;
    let message = v1::WatchResponse::decode(received.get(5..end)?).unwrap();
    received.drain(..end);
    Some(message)
}

fn resident_bytes() -> u64 {
    let mut registry = Registry::new("test", "1");
    registry.add_process();
    let text = registry.text(TextFormat::Classic).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    line.unwrap().parse().unwrap()
}

/// The heartbeats of as many streams as a caller may have wait in its client.
#[tokio::test(start_paused = true)]
async fn heartbeats_that_nobody_reads_end_no_connection() {
    let server = crate::world::World::new().serve().await;
    let mut requests = connect(&server).await;
    let mut bodies = Vec::new();
    for _ in 0..16 {
        let request = framed(&v1::WatchRequest::default());
        bodies.push(call(&mut requests, "Watch", &request).await);
    }
    sleep(Duration::from_mins(20)).await;
    let list = framed(&v1::ListRequest::default());
    let mut answer = call(&mut requests, "List", &list).await;
    assert!(answer.data().await.unwrap().is_ok(), "the connection lives");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_costs_others_nothing_and_no_memory() {
    const CHANGES: i64 = 10_000;
    let (world, _client) = world().await;
    let server = world.serve().await;
    let mut requests = connect(&server).await;
    let mut unread = call(&mut requests, "Watch", &framed(&earliest())).await;
    let mut other = server.client().await;
    let now = from(v1::watch_request::From::Start(v1::WatchStart::Now.into()));
    let mut read = other.watch(now).await.unwrap().into_inner();
    while !next(&mut read).await.caught_up {}
    let mut before = 0;
    for number in 1..=CHANGES {
        rename(&world, &format!("Harbour {number}")).await;
        let begin = Instant::now();
        let told = timeout(Duration::from_secs(1), next_events(&mut read)).await;
        let told = told.expect("another one's reader waits");
        assert_eq!(told.events.len(), 1, "{:?}", begin.elapsed());
        if number == CHANGES / 2 {
            before = resident_bytes();
        }
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 * 1024 * 1024, "{grown} bytes more for {} events", CHANGES / 2);
    // It reads on, and is sent all of them, each once.
    let (mut received, mut revisions) = (Vec::new(), Vec::new());
    while revisions.last() != Some(&(CHANGES + 1)) {
        let part = unread.data().await.unwrap().unwrap();
        unread.flow_control().release_capacity(part.len()).unwrap();
        received.extend_from_slice(&part);
        while let Some(response) = take_message(&mut received) {
            revisions.extend(response.events.iter().map(|event| event.revision));
        }
    }
    assert_eq!(revisions, (1..=CHANGES + 1).collect::<Vec<_>>());
}
