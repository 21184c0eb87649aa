//! Log lines of an outage: where, why, and how often.

use std::io;
use std::sync::{Arc, Mutex};

use ig_adapters::instagram::{GraphApi, ProxyUrl};
use tokio::net::TcpListener;
use tracing::subscriber::DefaultGuard;

use super::{Call, answering, client_of, client_through, json};

/// The warnings of the test's own thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// The one line that is logged while a call fails.
async fn line_of(call: Call, client: &GraphApi) -> String {
    let (log, _guard) = Log::capture();
    call.make(client).await.unwrap_err();
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines[0].clone()
}

#[track_caller]
fn assert_contains(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

async fn closed_port() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_refused_connection_is_told_with_host_and_cause() {
    let host = closed_port().await;
    let line = line_of(Call::Renew, &client_of(&format!("http://{host}"))).await;
    let host = format!("host=\"{host}\"");
    assert_contains(&line, &["WARN", "Instagram is unreachable", "endpoint=token_renewal", &host]);
    assert_contains(&line, &["sent=false", "Connection refused", "left_out=0"]);
}

#[tokio::test]
async fn a_name_that_is_not_found_is_told() {
    // Longer than a label may be, so that no name server is asked.
    let host = format!("{}.invalid", "a".repeat(80));
    let line = line_of(Call::Exchange, &client_of(&format!("https://{host}"))).await;
    let host = format!("host=\"{host}:443\"");
    assert_contains(&line, &["Instagram is unreachable", "endpoint=code_exchange", &host]);
    assert_contains(&line, &["sent=false", "dns name"]);
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_told_as_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            listener.accept().await.unwrap().0.set_zero_linger().unwrap();
        }
    });
    let line = line_of(Call::Exchange, &client_of(&format!("http://{host}"))).await;
    assert_contains(
        &line,
        &["Instagram is unreachable", "sent=true", "cause=\"connection reset\""],
    );
}

#[tokio::test]
async fn an_error_of_instagram_s_own_is_told_with_its_numbers() {
    let body = r#"{"error":{"message":"planted","code":2,"error_subcode":7,"fbtrace_id":"AbC"}}"#;
    let (server, client) = answering(json(500, body)).await;
    let line = line_of(Call::Profile, &client).await;
    let host = format!("host=\"{}\"", server.address());
    assert_contains(&line, &["WARN", "Instagram answered with an error of its own", &host]);
    assert_contains(&line, &["endpoint=profile", "HTTP 500", "instagram_code=2"]);
    assert_contains(&line, &["instagram_subcode=7", "AbC"]);
    assert!(!line.contains("planted"), "{line}");
}

#[tokio::test]
async fn a_proxy_is_named_beside_the_host_without_its_password() {
    let closed = closed_port().await;
    let proxy = ProxyUrl::parse(&format!("http://user:planted@{closed}")).unwrap();
    let client = client_through(Some(proxy), "https://instagram.invalid");
    let line = line_of(Call::Exchange, &client).await;
    let proxy = format!("proxy=\"{closed}\"");
    assert_contains(&line, &["host=\"instagram.invalid:443\"", &proxy, "Connection refused"]);
    assert!(!line.contains("planted") && !line.contains("user"), "{line}");
}

#[tokio::test]
async fn alike_outages_are_told_once_and_others_at_once() {
    let client = client_of(&format!("http://{}", closed_port().await));
    let (log, _guard) = Log::capture();
    for _ in 0..20 {
        Call::Exchange.make(&client).await.unwrap_err();
    }
    assert_eq!(log.lines().len(), 1);
    Call::Profile.make(&client).await.unwrap_err();
    assert_eq!(log.lines().len(), 2);
}

#[tokio::test]
async fn what_is_no_outage_is_not_told_as_one() {
    for answer in [
        json(400, r#"{"error":{"code":190}}"#),
        json(400, r#"{"error":{"code":4}}"#),
        json(200, "what?"),
    ] {
        let (_server, client) = answering(answer).await;
        let (log, _guard) = Log::capture();
        Call::Renew.make(&client).await.unwrap_err();
        assert_eq!(log.lines(), [""; 0]);
    }
}
