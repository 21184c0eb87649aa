//! Calls through a proxy: whom it is asked for, by which means, and what it does not learn.

use std::sync::{Arc, Mutex};

use ig_adapters::instagram::ProxyUrl;
use ig_domain::ports::InstagramErrorKind::{NotSent, Unavailable};
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Call, answering, client_through, json};

/// A proxy that gives one answer to everything, and the heads of what it was asked.
async fn proxy(answer: &'static str) -> (ProxyUrl, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut bytes).await.unwrap_or_default() == 0 {
                    break;
                }
            }
            heads.lock().unwrap().push(String::from_utf8(bytes).unwrap().to_lowercase());
            // A client that hung up is not the subject.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    // `user` and `pass:word`.
    let url = format!("http://user:pass%3Aword@{address}");
    (ProxyUrl::parse(&url).unwrap(), asked)
}

const CREDENTIALS: &str = "proxy-authorization: basic dxnlcjpwyxnzondvcmq=";

#[rstest]
#[tokio::test]
async fn a_plain_request_is_forwarded_with_the_host_unresolved(
    #[values(Call::Exchange, Call::Extend, Call::Renew, Call::Profile)] call: Call,
) {
    let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (proxy, asked) = proxy(answer).await;
    call.make(&client_through(Some(proxy), "http://instagram.invalid")).await.unwrap_err();
    let asked = asked.lock().unwrap();
    let line = asked[0].lines().next().unwrap();
    assert!(line.contains(" http://instagram.invalid/"), "{line}");
    assert!(asked[0].contains(CREDENTIALS), "{asked:?}");
}

#[rstest]
#[tokio::test]
async fn an_encrypted_request_goes_through_a_tunnel_of_which_the_proxy_learns_the_host_only(
    #[values(Call::Exchange, Call::Extend, Call::Renew, Call::Profile)] call: Call,
) {
    // A tunnel, and no TLS at its end.
    let (proxy, asked) = proxy("HTTP/1.1 200 OK\r\n\r\nno TLS").await;
    let error = call.make(&client_through(Some(proxy), "https://instagram.invalid")).await;
    assert_eq!(error.unwrap_err().kind, NotSent);
    let asked = asked.lock().unwrap();
    assert!(!asked.is_empty());
    for head in &*asked {
        assert!(head.starts_with("connect instagram.invalid:443 http/1.1\r\n"), "{head}");
        assert!(head.contains(CREDENTIALS), "{head}");
    }
}

#[rstest]
#[case::no_leave("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")]
#[case::no_way("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")]
#[case::hung_up("")]
#[tokio::test]
async fn a_tunnel_that_is_refused_sends_nothing(#[case] answer: &'static str) {
    let (proxy, asked) = proxy(answer).await;
    let client = client_through(Some(proxy), "https://instagram.invalid");
    assert_eq!(Call::Exchange.make(&client).await.unwrap_err().kind, NotSent);
    assert!(!asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_proxy_that_cannot_reach_instagram_answers_in_its_place() {
    let answer = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (proxy, _) = proxy(answer).await;
    let client = client_through(Some(proxy), "http://instagram.invalid");
    assert_eq!(Call::Exchange.make(&client).await.unwrap_err().kind, Unavailable);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_not_passed_by() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = ProxyUrl::parse(&format!("http://{closed}")).unwrap();
    let (instagram, _) = answering(json(200, "{}")).await;
    let client = client_through(Some(proxy), &instagram.uri());
    assert_eq!(Call::Exchange.make(&client).await.unwrap_err().kind, NotSent);
    assert!(instagram.received_requests().await.unwrap().is_empty());
}
