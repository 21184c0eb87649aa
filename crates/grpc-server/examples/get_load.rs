//! The load of `cargo xtask bench`: calls `Get` and compares each answer, by the hash of its bytes, with that account's
//! first one. So what it remembers of many accounts stays in the processor's cache, and does not slow it down.
//!
//! `get_load ADDRESS KEY ACCOUNTS CONNECTIONS STREAMS CALLS TOKEN [AUTHORITY]` connects by TLS where it is given the
//! authority of the server's certificate, a file in PEM. It first gets the accounts whose professional account ids are
//! 1 to `ACCOUNTS`, each once. `KEY` says how it asks for them from then on: by `account_id`, by
//! `instagram_id`, or for a `constant`, which answers all the same to whatever is asked. It prints a line, waits for
//! one, makes `CALLS` calls, and prints answers a second, the median and the 99th percentile of their times, and its
//! own processor time for each, the last three in microseconds.
#![expect(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "whoever starts a benchmark reads its panics and lines"
)]

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use h2::client::SendRequest;
use http::Request;
use hyper::body::Bytes;
use ig_proto::v1::get_request::Key;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use ig_proto::v1::{GetRequest, GetResponse};
use prost::Message as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Number of calls that go unmeasured before.
const WARM_UP: usize = 2_000;

/// Number of calls under way at once on each connection while the accounts are got for the first time.
const LEARNING: usize = 8;

/// Bytes of a gRPC message's header.
const HEADER: usize = 5;

/// Step from one account to the next one that is asked for: prime, so that all come in turn.
const STEP: usize = 7_919;

/// Unit of the times in `/proc/self/stat`: a hundredth of a second.
const TICK: Duration = Duration::from_millis(10);

/// A call, and the hash of what must be answered.
#[derive(Clone)]
struct Case {
    request: Bytes,
    answer: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Without one, the spans of HTTP/2 go to another log, even if nobody reads that.
    tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new()).unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, key, rest @ ..] = arguments.as_slice() else { panic!("too few arguments") };
    let number = |index: usize| rest.get(index).unwrap().parse::<usize>().unwrap();
    let (accounts, connections, streams, calls) = (number(0), number(1), number(2), number(3));
    let (token, tls) = (&rest[4], rest.get(5).map(|authority| connector(authority)));
    let head = Arc::new(head(address, token));
    let mut of_connections = Vec::new();
    for _ in 0..connections {
        of_connections.push(connect(address, tls.as_ref()).await);
    }
    let senders = |of_each| {
        let of_each = of_connections.iter().map(move |sender| vec![sender.clone(); of_each]);
        of_each.collect::<Vec<_>>().concat()
    };
    let learners = senders(LEARNING);
    let learning = learners.iter().zip(1..).map(|(sender, first)| {
        let (mut sender, head, step) = (sender.clone(), &head, learners.len());
        async move {
            let mut cases = Vec::new();
            for number in (first..=accounts).step_by(step) {
                cases.push(Case::learn(&mut sender, head, key, number).await);
            }
            cases
        }
    });
    let mut cases = join_all(learning).await.concat();
    move_together(&mut cases);
    let cases = Arc::new(cases);
    let senders = senders(streams);
    run(&senders, &head, &cases, WARM_UP).await;
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let (begin, spent) = (Instant::now(), processor_time());
    let mut times = run(&senders, &head, &cases, calls).await;
    let (elapsed, spent) = (begin.elapsed(), processor_time().checked_sub(spent).unwrap());
    times.sort_unstable();
    let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
    let at = |percent: usize| microseconds(times[(calls * percent / 100).min(calls - 1)]);
    let each = |time: Duration| time.as_secs_f64() / times.len() as f64;
    println!("{} {} {} {}", 1.0 / each(elapsed), at(50), at(99), each(spent) * 1e6);
}

/// A client that trusts the authority in this file.
fn connector(authority: &str) -> TlsConnector {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(trusted);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// A connection to `address`, by TLS where there is a client for it.
async fn connect(address: &str, tls: Option<&TlsConnector>) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    match tls {
        None => client(stream).await,
        Some(tls) => {
            client(tls.connect("localhost".try_into().unwrap(), stream).await.unwrap()).await
        }
    }
}

async fn client<S>(stream: S) -> SendRequest<Bytes>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// The head of each request.
fn head(address: &str, token: &str) -> Request<()> {
    Request::post(format!("http://{address}/{SERVICE_NAME}/Get"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .unwrap()
}

/// Makes so many calls, on all streams at once, and returns the time of each.
async fn run(
    senders: &[SendRequest<Bytes>],
    head: &Arc<Request<()>>,
    cases: &Arc<Vec<Case>>,
    calls: usize,
) -> Vec<Duration> {
    let next = Arc::new(AtomicUsize::new(0));
    let streams = senders.iter().map(|sender| {
        let (mut sender, head, cases) = (sender.clone(), Arc::clone(head), Arc::clone(cases));
        let next = Arc::clone(&next);
        tokio::spawn(async move {
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= calls {
                    return times;
                }
                let case = &cases[number * STEP % cases.len()];
                let begin = Instant::now();
                let answer = call(&mut sender, &head, case.request.clone()).await;
                times.push(begin.elapsed());
                assert!(hash(&answer) == case.answer, "another answer than at first: {answer:?}");
            }
        })
    });
    let times = join_all(streams).await;
    times.into_iter().flat_map(Result::unwrap).collect()
}

/// Makes one call and returns its message, with the header.
async fn call(sender: &mut SendRequest<Bytes>, head: &Request<()>, request: Bytes) -> Bytes {
    *sender = sender.clone().ready().await.unwrap();
    let (response, mut stream) = sender.send_request(head.clone(), false).unwrap();
    stream.send_data(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut answer = Bytes::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        answer = if answer.is_empty() { data } else { [answer, data].concat().into() };
    }
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
    answer
}

impl Case {
    /// The case of the account with this number as its professional account id.
    async fn learn(
        sender: &mut SendRequest<Bytes>,
        head: &Request<()>,
        key: &str,
        number: usize,
    ) -> Self {
        let by_instagram_id = framed(Key::InstagramId(number.to_string()));
        let answer = call(sender, head, by_instagram_id.clone()).await;
        let account = GetResponse::decode(answer.slice(HEADER..)).unwrap().account.unwrap();
        let is_asked_for = account.professional_account_id == number.to_string();
        assert!(is_asked_for || key == "constant", "{account:?}");
        let request = match key {
            "account_id" => framed(Key::AccountId(account.account_id)),
            _ => by_instagram_id,
        };
        Self { request, answer: hash(&answer) }
    }
}

/// Moves the requests into one piece of memory.
fn move_together(cases: &mut [Case]) {
    let all: Vec<_> = cases.iter().map(|case| &*case.request).collect();
    let mut rest = Bytes::from(all.concat());
    for case in cases {
        case.request = rest.split_to(case.request.len());
    }
}

fn hash(answer: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(answer);
    hasher.finish()
}

/// The request behind its header: not compressed, and its length.
fn framed(key: Key) -> Bytes {
    let message = GetRequest { key: Some(key), owner: None }.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap();
    [&[0], length.to_be_bytes().as_slice(), &message].concat().into()
}

/// Processor time of this process so far.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2);
    fields.map(|ticks| TICK * ticks.parse::<u32>().unwrap()).sum()
}
