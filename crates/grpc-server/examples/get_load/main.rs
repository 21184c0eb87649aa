//! The load of `cargo xtask bench`: calls `Get` and compares each answer, by the hash of its bytes, with that account's
//! first one. So what it remembers of many accounts stays in the processor's cache, and does not slow it down.
//!
//! `get_load ADDRESS KEY ACCOUNTS CONNECTIONS STREAMS CALLS TOKEN [AUTHORITY]` connects by TLS where it is given the
//! authority of the server's certificate, a file in PEM. It first gets the accounts whose professional account ids are
//! 1 to `ACCOUNTS`, each once. `KEY` says how it asks for them from then on: by `account_id`, by
//! `instagram_id`, or for a `constant`, which answers all the same to whatever is asked. It prints a line, waits for
//! one, makes `CALLS` calls, and prints answers a second, the median and the 99th percentile of their times, and its
//! own processor time for each, the last three in microseconds. With `first` as `KEY` the calls are those that get each
//! account once, and none comes before them.
#![expect(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "whoever starts a benchmark reads its panics and lines"
)]

mod connection;

use std::cell::{Cell, RefCell};
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hyper::body::Bytes;
use ig_proto::v1::get_request::Key;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use ig_proto::v1::{GetRequest, GetResponse};
use prost::Message as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use self::connection::{Connection, Part};

/// Number of calls that go unmeasured before.
const WARM_UP: usize = 2_000;

/// Number of streams of each connection while the accounts are got for the first time.
const LEARNING_STREAMS: usize = 8;

/// Bytes of a gRPC message's header.
const HEADER: usize = 5;

/// Step from one account to the next one that is asked for: prime, so that all come in turn.
const STEP: usize = 7_919;

/// Unit of the times in `/proc/self/stat`: a hundredth of a second.
const TICK: Duration = Duration::from_millis(10);

/// A connection, by TLS or not.
type Caller = Connection<Either<TcpStream, TlsStream<TcpStream>>>;

/// A call, and the hash of what must be answered.
struct Case {
    request: Bytes,
    answer: u64,
}

/// A call under way.
struct UnderWay<T> {
    stream: u32,
    what: T,
    begin: Instant,
    is_answered: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, key, rest @ ..] = arguments.as_slice() else { panic!("too few arguments") };
    let number = |index: usize| rest.get(index).unwrap().parse::<usize>().unwrap();
    let (accounts, connections, streams, calls) = (number(0), number(1), number(2), number(3));
    let (token, tls) = (&rest[4], rest.get(5).map(|authority| connector(authority)));
    let mut callers = Vec::new();
    for _ in 0..connections {
        callers.push(connect(address, token, tls.as_ref()).await);
    }
    let cases = if key == "first" {
        None
    } else {
        let (cases, _) = learn(&mut callers, LEARNING_STREAMS, key, accounts).await;
        run(&mut callers, streams, &cases, WARM_UP).await;
        Some(cases)
    };
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let (begin, spent) = (Instant::now(), processor_time());
    let mut times = match &cases {
        Some(cases) => run(&mut callers, streams, cases, calls).await,
        None => learn(&mut callers, streams, key, accounts).await.1,
    };
    let (elapsed, spent) = (begin.elapsed(), processor_time().checked_sub(spent).unwrap());
    times.sort_unstable();
    let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
    let at = |percent: usize| microseconds(times[(times.len() - 1) * percent / 100]);
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

/// A connection to `address` for the caller with this token, by TLS where there is a client for it.
async fn connect(address: &str, token: &str, tls: Option<&TlsConnector>) -> Caller {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let stream = match tls {
        None => Either::Left(stream),
        Some(tls) => {
            Either::Right(tls.connect("localhost".try_into().unwrap(), stream).await.unwrap())
        }
    };
    let (path, token) = (format!("/{SERVICE_NAME}/Get"), format!("Bearer {token}"));
    let fields = [
        (":path", path.as_str()),
        (":authority", address),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", &token),
    ];
    Connection::open(stream, &fields)
}

/// Gets each account once, `streams` at once on each connection, and returns the cases of all, and the time of each call.
async fn learn(
    callers: &mut [Caller],
    streams: usize,
    key: &str,
    accounts: usize,
) -> (Vec<Case>, Vec<Duration>) {
    let cases = RefCell::new(Vec::new());
    let call = |index: usize| {
        let number = index + 1;
        (number <= accounts).then(|| (number, framed(Key::InstagramId(number.to_string()))))
    };
    let answered =
        |number: &usize, answer: &[u8]| cases.borrow_mut().push(Case::of(key, *number, answer));
    let times = call_all(callers, streams, call, answered).await;
    let mut cases = cases.into_inner();
    move_together(&mut cases);
    (cases, times)
}

/// Makes so many calls, `streams` at once on each connection, and returns the time of each.
async fn run(
    callers: &mut [Caller],
    streams: usize,
    cases: &[Case],
    calls: usize,
) -> Vec<Duration> {
    let call = |index: usize| {
        let case = &cases[index * STEP % cases.len()];
        (index < calls).then_some((case, &case.request))
    };
    let answered = |case: &&Case, answer: &[u8]| {
        assert!(hash(answer) == case.answer, "another answer than at first: {answer:?}");
    };
    call_all(callers, streams, call, answered).await
}

/// Makes the calls that `call` gives, by indexes from 0 until there is none, `streams` at once on each connection, and
/// returns the time of each.
async fn call_all<T, R: AsRef<[u8]>>(
    callers: &mut [Caller],
    streams: usize,
    call: impl Fn(usize) -> Option<(T, R)>,
    answered: impl Fn(&T, &[u8]),
) -> Vec<Duration> {
    let next_index = Cell::new(0);
    let next = &|| call(next_index.replace(next_index.get() + 1));
    let answered = &answered;
    let all = callers.iter_mut().map(async |caller| {
        let (mut under_way, mut times) = (Vec::new(), Vec::new());
        loop {
            while under_way.len() < streams
                && let Some((what, request)) = next()
            {
                let begin = Instant::now();
                let stream = caller.begin(request.as_ref());
                under_way.push(UnderWay { stream, what, begin, is_answered: false });
            }
            if under_way.is_empty() {
                return times;
            }
            let arrived = |stream, part: Part<'_>| {
                let index = under_way.iter().position(|call| call.stream == stream).unwrap();
                match part {
                    Part::Message(message) => {
                        answered(&under_way[index].what, message);
                        under_way[index].is_answered = true;
                    }
                    Part::End => {
                        let call = under_way.swap_remove(index);
                        assert!(call.is_answered, "a call has failed");
                        times.push(call.begin.elapsed());
                    }
                }
            };
            caller.turn(arrived).await;
        }
    });
    all.collect::<FuturesUnordered<_>>().concat().await
}

impl Case {
    /// The case of the account with this number as its professional account id, by its first answer.
    fn of(key: &str, number: usize, answer: &[u8]) -> Self {
        let account = GetResponse::decode(&answer[HEADER..]).unwrap().account.unwrap();
        let is_asked_for = account.professional_account_id == number.to_string();
        assert!(is_asked_for || key == "constant", "{account:?}");
        let request = framed(match key {
            "account_id" => Key::AccountId(account.account_id),
            _ => Key::InstagramId(number.to_string()),
        });
        Self { request, answer: hash(answer) }
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
