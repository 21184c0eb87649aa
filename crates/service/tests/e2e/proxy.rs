//! The stack's proxy before replicas that only answer `/readyz`: when it counts one as ready, and itself as well.

use std::convert::Infallible;

use ig_proto::v1::GetRequest;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;
use tonic::transport::Channel;

use crate::support::compose::{Addresses, REPLICAS, model, proxy_check};
use crate::support::eventually;
use crate::support::proxy::Proxy;

/// Number of checks of the other replica that pass while one is slow to answer: more than a second's.
const CHECKS_MEANWHILE: usize = 3;

/// Listener at which a replica answers probes.
async fn probes_of(replica: &str, addresses: &Addresses) -> TcpListener {
    TcpListener::bind(format!("{}:9464", addresses.of(replica))).await.unwrap()
}

/// The next check, whose request is read and not answered yet.
async fn asked(probes: &TcpListener) -> BufReader<TcpStream> {
    let mut check = BufReader::new(probes.accept().await.unwrap().0);
    let mut line = String::new();
    check.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("GET /readyz "), "{line:?}");
    while line != "\r\n" {
        line.clear();
        check.read_line(&mut line).await.unwrap();
    }
    check
}

/// Answers that the replica is ready; a check that was given up is nobody's any more.
async fn answer(mut check: BufReader<TcpStream>) {
    check.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok();
}

/// Answers every check.
async fn answer_all(probes: TcpListener) -> Infallible {
    loop {
        answer(asked(&probes).await).await;
    }
}

#[tokio::test]
async fn a_replica_that_is_slow_to_answer_its_check_is_not_lost() {
    let addresses = Addresses::new();
    let [slow, quick] = REPLICAS;
    let slow_probes = probes_of(slow, &addresses).await;
    let quick_probes = probes_of(quick, &addresses).await;
    let proxy = Proxy::start(&addresses).await;
    answer(asked(&slow_probes).await).await;

    let check = asked(&slow_probes).await;
    for _ in 0..CHECKS_MEANWHILE {
        answer(asked(&quick_probes).await).await;
    }
    answer(check).await;
    // The proxy checks again once it has judged the check before.
    let _next = asked(&slow_probes).await;
    assert_eq!(proxy.times_lost(slow).await, 0);
}

#[tokio::test]
async fn the_proxy_is_healthy_only_while_a_replica_is_ready() {
    let (addresses, model) = (Addresses::new(), model());
    let healthy = async |expected| {
        eventually(&format!("healthy: {expected}"), async || {
            let check = proxy_check(&model, &addresses).output().unwrap();
            (check.status.success() == expected).then_some(())
        })
        .await;
    };
    let mut replicas = Vec::new();
    for replica in REPLICAS {
        replicas.push(tokio::spawn(answer_all(probes_of(replica, &addresses).await)));
    }
    let proxy = Proxy::start(&addresses).await;
    healthy(true).await;

    for replica in replicas {
        replica.abort();
    }
    healthy(false).await;
    let channel = Channel::from_shared(proxy.url.clone()).unwrap().connect().await.unwrap();
    let refused = InstagramAccountServiceClient::new(channel).get(GetRequest::default()).await;
    let refused = refused.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "no replica is ready"));

    let probes = probes_of(REPLICAS[1], &addresses).await;
    let replica = tokio::spawn(answer_all(probes));
    healthy(true).await;
    replica.abort();
}
