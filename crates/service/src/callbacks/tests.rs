//! Calls back over TCP: whatever comes, there is a clear answer in bounded time, and nothing changes but by Meta's word.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ig_application::{
    Deauthorize, DeleteUserData, FindDeletion, FinishHostedLink, ReceiveWebhooks,
};
use ig_callbacks::{AppSecrets, CallbackMeters};
use ig_domain::ports::MockInstagram;
use ig_metrics::Registry;
use ig_test_support::builders::{self, START, account, long_lived, parsed};
use ig_test_support::{FakeClock, MemoryStore, RecordedMetrics};
use rstest::rstest;
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::*;

/// Maximum time that a stop waits.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// A listener over a store in memory.
struct World {
    address: SocketAddr,
    store: MemoryStore,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl World {
    async fn start() -> Self {
        let store = MemoryStore::new(parsed("990602627938098"));
        store.put_account(account(1, "", START), long_lived("IGAA"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let ports = builders::ports(&store, MockInstagram::new(), FakeClock::at(START));
        let (shared, clock) = (Arc::new(store.clone()), Arc::new(FakeClock::at(START)));
        let metrics = Arc::new(RecordedMetrics::default());
        let callbacks = Callbacks {
            secrets: AppSecrets::new(vec!["secret".into()]),
            hosted_link: FinishHostedLink::new(&ports, tracker.clone()),
            deauthorize: Deauthorize { removals: shared.clone(), clock: clock.clone() },
            delete_user_data: DeleteUserData {
                deletions: shared.clone(),
                clock: clock.clone(),
                ids: Arc::clone(&ports.ids),
                tracker: tracker.clone(),
            },
            find_deletion: FindDeletion { deletions: shared.clone() },
            webhooks: ReceiveWebhooks::new(shared, metrics, tracker.clone()),
            verify_token: None,
            clock,
            meters: CallbackMeters::register(&mut Registry::new("test", "1")),
        };
        CallbackListener(listener, parsed("https://example.com")).serve(
            callbacks,
            DRAIN_TIMEOUT,
            stop.clone(),
            &tracker,
        );
        Self { address, store, stop, tracker }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends this, and reads until the server closes; returns the status.
    async fn exchange(&self, request: &[u8]) -> u16 {
        let mut stream = self.connect().await;
        // The server may have answered and closed before the end of it.
        let _ = stream.write_all(request).await;
        status(&mut stream).await
    }

    fn is_untouched(&self) -> bool {
        let Self { store, .. } = self;
        let removals = store.deauthorizations().len() + store.deletions();
        removals + store.events().len() + store.attempts().len() == 0
    }
}

/// Reads until the server closes; returns the status, 0 where there was no answer.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    // What was sent and not read resets the connection behind the answer.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

/// A form that Meta signed by `secret`, for the person 7.
fn form(secret: &str) -> String {
    let issued = START.unix_timestamp();
    let payload = format!(r#"{{"algorithm":"HMAC-SHA256","issued_at":{issued},"user_id":"7"}}"#);
    let payload = BASE64_URL_SAFE_NO_PAD.encode(payload);
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let mac = mac.chain_update(&payload).finalize().into_bytes();
    format!("signed_request={}.{payload}", BASE64_URL_SAFE_NO_PAD.encode(mac))
}

/// A request of a body that is `length` long, or says so.
fn post(body: &str, length: usize) -> Vec<u8> {
    post_to("/deauthorize", body, length)
}

fn post_to(path: &str, body: &str, length: usize) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n");
    format!("{head}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A form with this to the data deletion callback.
fn deletion(body: &str) -> Vec<u8> {
    post_to("/data-deletion", body, body.len())
}

/// A request for this path, with a query or without.
fn ask(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").into_bytes()
}

fn whole(body: &str) -> Vec<u8> {
    post(body, body.len())
}

/// The same in chunks of so many bytes.
fn chunked(body: &str, size: usize) -> Vec<u8> {
    chunked_to("/deauthorize", body, size)
}

fn chunked_to(path: &str, body: &str, size: usize) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
    let mut request = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.as_bytes().chunks(size) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend([chunk, b"\r\n"].concat());
    }
    request.extend(b"0\r\n\r\n");
    request
}

/// A webhook of a body that is `length` long, or says so, with a signature of the right form.
fn forged_webhook(body: &str, length: usize) -> Vec<u8> {
    webhook(body.as_bytes(), length, &"0".repeat(64))
}

/// A webhook that Meta signed.
fn signed_webhook(body: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
    let mac = mac.chain_update(body).finalize().into_bytes();
    let digits: Vec<_> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    webhook(body, body.len(), &digits.concat())
}

fn webhook(body: &[u8], length: usize, digits: &str) -> Vec<u8> {
    let head = "POST /webhooks/instagram HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    let signature = format!("x-hub-signature-256: sha256={digits}\r\n");
    let head = format!("{head}{signature}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A webhook with a signature of the right form, which does not say how long it is.
fn chunked_webhook(body: &str) -> Vec<u8> {
    let (line, request) = ("\r\n", chunked_to("/webhooks/instagram", body, 64 * 1024));
    let end = request.windows(2).position(|pair| pair == line.as_bytes()).unwrap();
    let (first, rest) = request.split_at(end);
    let signature = format!("{line}x-hub-signature-256: sha256={}", "0".repeat(64));
    [first, signature.as_bytes(), rest].concat()
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A message to the account of the world.
fn message() -> String {
    let account = account(1, "", START).professional_account_id;
    format!(
        r#"{{"object":"instagram","entry":[{{"id":"{}","messaging":[{{"message":{{"mid":"m"}}}}]}}]}}"#,
        account.as_str()
    )
}

#[rstest]
#[case::whole(&whole(&form("secret")))]
#[case::chunked(&chunked(&form("secret"), 7))]
#[tokio::test]
async fn what_meta_signed_is_done_as_often_as_it_comes(#[case] request: &[u8]) {
    let world = World::start().await;
    for _ in 0..3 {
        assert_eq!(world.exchange(request).await, 200);
    }
    assert_eq!(world.store.deauthorizations().len(), 1);
}

#[tokio::test]
async fn a_deletion_or_a_webhook_that_is_replayed_is_answered_alike_and_done_once() {
    let world = World::start().await;
    for _ in 0..3 {
        assert_eq!(world.exchange(&deletion(&form("secret"))).await, 200);
        assert_eq!(world.exchange(&signed_webhook(message().as_bytes())).await, 200);
    }
    assert_eq!((world.store.deletions(), world.store.events().len()), (1, 1));
}

#[rstest]
#[case::forged(&whole(&form("other")), 400)]
#[case::truncated(&whole(form("secret").split_at(100).0), 400)]
#[case::nothing(&whole(""), 400)]
#[case::a_broken_chunk(
    b"POST /deauthorize HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
    400
)]
#[case::larger_than_it_may_say(&post("", 1 << 30), 413)]
#[case::larger_than_it_may_be(&chunked(&"a".repeat(64 * 1024), 4096), 413)]
#[case::no_number(b"POST /deauthorize HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", 400)]
#[case::read(b"GET /deauthorize HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 405)]
#[case::elsewhere(
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    404
)]
#[case::an_unsigned_webhook(&chunked_to("/webhooks/instagram", &"x".repeat(64 * 1024), 4096), 401)]
#[case::a_webhook_larger_than_it_may_say(&forged_webhook("", (4 << 20) + 1), 413)]
#[case::a_forged_webhook(&forged_webhook("{}", 2), 401)]
#[case::a_webhook_cut_short(&signed_webhook(message().split_at(40).0.as_bytes()), 400)]
#[case::a_webhook_of_no_text(&signed_webhook(b"{\"object\":\"\xff\xfe\"}"), 400)]
#[case::a_webhook_in_utf_16(&signed_webhook(&utf_16(&message())), 400)]
#[case::a_webhook_nested_deeply(&signed_webhook("[".repeat(100_000).as_bytes()), 400)]
#[case::a_webhook_of_too_many(
    &signed_webhook(message().replace("[{\"message\"", &format!("[{}{{\"message\"", "{},".repeat(10_000))).as_bytes()),
    413
)]
#[case::a_webhook_larger_than_it_may_be(
    &chunked_webhook(&"x".repeat((4 << 20) + 1)),
    413
)]
#[case::a_check_of_no_text(
    &ask("/webhooks/instagram?hub.mode=subscribe&hub.verify_token=%ff&hub.challenge=%00"),
    403
)]
#[case::a_forged_deletion(&deletion(&form("other")), 400)]
#[case::a_deletion_cut_short(&deletion(form("secret").split_at(100).0), 400)]
#[case::a_deletion_of_nothing(&deletion(""), 400)]
#[case::a_deletion_twice(&deletion(&format!("{0}&{0}", form("secret"))), 400)]
#[case::a_deletion_of_no_text(&deletion("signed_request=%ff%fe.%ff"), 400)]
#[case::a_deletion_in_json(&deletion(&format!(r#"{{"signed_request":"{}"}}"#, form("secret"))), 400)]
#[case::a_deletion_larger_than_it_may_say(&post_to("/data-deletion", "", 1 << 30), 413)]
#[case::a_deletion_larger_than_it_may_be(
    &chunked_to("/data-deletion", &"a".repeat(64 * 1024), 4096),
    413
)]
#[case::a_deletion_that_is_read(&ask("/data-deletion"), 405)]
#[case::no_code(&ask("/data-deletion/0123456789abcdef0123456789abcdef"), 404)]
#[case::a_code_of_no_text(&ask("/data-deletion/%ff%00"), 404)]
#[case::a_long_code(&ask(&format!("/data-deletion/{}", "a".repeat(8 * 1024))), 404)]
#[case::a_path_above(&ask("/data-deletion/../deauthorize"), 404)]
#[case::a_consent_of_nothing(&ask("/oauth/callback"), 400)]
#[case::a_forged_consent(&ask(&format!("/oauth/callback?code=a&state={}", "A".repeat(43))), 400)]
#[case::a_consent_twice(&ask("/oauth/callback?code=a&code=b&state=c"), 400)]
#[case::a_consent_of_no_text(&ask("/oauth/callback?code=%ff%00&state=%"), 400)]
#[case::a_long_consent(&ask(&format!("/oauth/callback?code={}", "a".repeat(10 * 1024))), 400)]
#[case::a_consent_that_is_posted(&post_to("/oauth/callback", "code=a", 6), 405)]
#[case::two_lengths(
    b"POST /deauthorize HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    400
)]
#[case::no_path(&ask("deauthorize"), 404)]
#[case::a_check_without_a_token(
    b"GET /webhooks/instagram?hub.mode=subscribe HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    403
)]
#[case::a_long_head(&[b"POST /deauthorize HTTP/1.1\r\na: ", &b"x".repeat(64 * 1024)[..], b"\r\n\r\n"].concat(), 431)]
#[tokio::test(start_paused = true)]
async fn what_is_malformed_is_answered_clearly_and_changes_nothing(
    #[case] request: &[u8],
    #[case] expected: u16,
) {
    let world = World::start().await;
    let begin = Instant::now();
    assert_eq!(world.exchange(request).await, expected);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(world.is_untouched());
}

/// A byte each half second never makes a head or a body whole in time.
#[rstest]
#[case::head("POST /deauthorize HTTP/1.1\r\n", 0)]
#[case::body("POST /deauthorize HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n", 408)]
#[case::body_of_a_deletion(
    "POST /data-deletion HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n",
    408
)]
#[case::chunks(
    "POST /deauthorize HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nff\r\n",
    408
)]
#[case::query("GET /oauth/callback?code=", 0)]
#[case::body_of_a_webhook(&String::from_utf8(forged_webhook("", 100)).unwrap(), 408)]
#[tokio::test(start_paused = true)]
async fn what_comes_byte_by_byte_is_given_up(#[case] begin: &str, #[case] expected: u16) {
    let world = World::start().await;
    let mut stream = world.connect().await;
    stream.write_all(begin.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let trickling = tokio::spawn(async move {
        while writing.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(500)).await;
        }
    });
    let begun = Instant::now();
    let mut answer = Vec::new();
    let _ = reading.read_to_end(&mut answer).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap()), expected);
    trickling.abort();
    assert!(world.is_untouched());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_stop_meets_is_answered() {
    let world = World::start().await;
    let request = whole(&form("secret"));
    let (begin, rest) = request.split_at(request.len() - 1);
    let mut stream = world.connect().await;
    stream.write_all(begin).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    world.stop.cancel();
    world.tracker.close();
    sleep(Duration::from_secs(1)).await;
    stream.write_all(rest).await.unwrap();
    assert_eq!(status(&mut stream).await, 200);
    world.tracker.wait().await;
    assert_eq!(world.store.deauthorizations().len(), 1);
}
