//! Memory stays bounded, however many large bodies come at once.

use std::net::SocketAddr;

use futures_util::future::join_all;
use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use super::{SETTINGS, webhooks_of};
use crate::support::Stack;

/// Size of the largest body that is read, in bytes.
const MAX_BODY: usize = 4 << 20;

/// Size of all large bodies together that are held at once, in bytes.
const SHARED_MEMORY: usize = 64 << 20;

/// Number of bodies that come at once.
const CONNECTIONS: usize = 100;

static BODY: [u8; MAX_BODY] = [b'x'; MAX_BODY];

/// Maximum memory that a connection takes for itself, in bytes: it reads into a buffer of its own.
/// Source: hyper's default `max_buf_size`.
const CONNECTION: usize = 408 << 10;

/// Memory by which it may grow, in bytes: that of the bodies that are held, whose buffers double, and that of the
/// connections. Nothing is kept of the other bodies.
const MAX_GROWTH: usize = 2 * SHARED_MEMORY + CONNECTIONS * CONNECTION;

/// They wait for their last byte until all have come. Those for which there is no memory are refused meanwhile.
#[tokio::test]
async fn a_hundred_large_bodies_at_once_do_not_cost_the_memory_of_a_hundred() {
    let stack = Stack::start_with(&SETTINGS).await;
    let url = Url::parse(&webhooks_of(&stack.service)).unwrap();
    let address = url.socket_addrs(|| None).unwrap()[0];
    let [before, _] = stack.service.process.memory();
    let all_came = Barrier::new(CONNECTIONS);
    let sent = (0..CONNECTIONS).map(|_| send(address, &all_came));
    let statuses = join_all(sent).await;
    let [_, most] = stack.service.process.memory();
    let growth = most - before;
    assert!((MAX_BODY..=MAX_GROWTH).contains(&growth), "{} MiB, {statuses:?}", growth >> 20);
    // On a slow machine those that were read were given up; the answer to one that was not may be lost with its body.
    let [read, refused] = [[401, 408], [503, 0]]
        .map(|group| statuses.iter().filter(|status| group.contains(status)).count());
    assert!(read > 0 && refused > 0 && read + refused == CONNECTIONS, "{statuses:?}");
}

/// Sends a body without a good signature, and returns the status of the answer; 0 where none came.
async fn send(address: SocketAddr, all_came: &Barrier) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /webhooks/instagram HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {MAX_BODY}\r\n\
        x-hub-signature-256: sha256={}\r\n\r\n",
        "0".repeat(64)
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&BODY[1..]).await;
    all_came.wait().await;
    let _ = stream.write_all(&BODY[..1]).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}
