//! Instagram to the byte: a listener that answers with exactly what a test planned, on threads of its own.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use std::{fmt, thread};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Start of the stub's clock, in seconds since 1970.
const EPOCH: i64 = 1_900_000_000;
/// Size of the buffer for a request, in bytes. No request of the service has more.
const MAX_REQUEST_BYTES: usize = 16 * 1024;

/// Endpoint of Instagram that the service asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    /// `POST /oauth/access_token`.
    Token,
    /// `GET /access_token`.
    Exchange,
    /// `GET /refresh_access_token`.
    Refresh,
    /// `GET /me`.
    Me,
}

/// An answer, or the lack of one.
#[derive(Clone)]
pub(crate) enum Reply {
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// A TCP reset after the request was received.
    Reset,
    /// Nothing, for as long as the caller waits.
    Silence,
}

impl Reply {
    /// An answer with these headers; the framing is added.
    pub(crate) fn with(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        Self::framed(status, headers, body, body.len())
    }

    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::with(status, &[("Content-Type", "application/json; charset=UTF-8")], body)
    }

    /// A web page.
    pub(crate) fn html(status: u16, body: &str) -> Self {
        Self::with(status, &[("Content-Type", "text/html; charset=utf-8")], body)
    }

    /// An answer that ends in the middle of its body.
    pub(crate) fn cut(status: u16, body: &str) -> Self {
        let half = body.get(..body.len() / 2).expect("an ASCII body");
        Self::framed(status, &[], half, body.len())
    }

    fn framed(status: u16, headers: &[(&str, &str)], body: &str, length: usize) -> Self {
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let headers: String = headers.collect();
        let framing = format!("Content-Length: {length}\r\nConnection: close\r\n\r\n");
        Self::Bytes(format!("HTTP/1.1 {status} Planned\r\n{headers}{framing}{body}").into_bytes())
    }
}

/// A request that arrived: method and target, head, body.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) endpoint: Endpoint,
    text: String,
}

impl Asked {
    /// Whether its query or its form has exactly this value of this parameter, as it travels.
    pub(crate) fn has(&self, parameter: &str, value: &str) -> bool {
        let expected = format!("{parameter}={value}");
        self.text.split(['?', '&', ' ', '\n']).any(|part| part == expected)
    }

    /// Whether it is authorised by this token.
    pub(crate) fn bears(&self, token: &str) -> bool {
        self.text.lines().any(|line| line.ends_with(&format!(": Bearer {token}")))
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.text)
    }
}

/// The listener. Its threads end with the test's process.
pub(crate) struct Stub {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    plans: Mutex<HashMap<Endpoint, Vec<Reply>>>,
    asked: Mutex<Vec<Asked>>,
    start: Instant,
    advanced_seconds: AtomicI64,
}

impl Stub {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            plans: Mutex::default(),
            asked: Mutex::default(),
            start: Instant::now(),
            advanced_seconds: AtomicI64::new(0),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serving = Arc::clone(&serving);
                // A caller that hangs up in between is not the test's subject.
                thread::spawn(move || serving.serve(stream).ok());
            }
        });
        Self { url, shared }
    }

    /// From now on `endpoint` gives these answers, one after the other, and the last one for ever.
    pub(crate) fn plan(&self, endpoint: Endpoint, replies: Vec<Reply>) {
        assert!(!replies.is_empty(), "an answer is planned");
        self.shared.plans.lock().unwrap().insert(endpoint, replies);
    }

    /// Takes the requests since this was last called.
    pub(crate) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, seconds: i64) {
        self.shared.advanced_seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The present moment, in whole seconds since 1970.
    pub(crate) fn now_seconds(&self) -> i64 {
        self.shared.now().unix_timestamp()
    }
}

impl Shared {
    fn now(&self) -> OffsetDateTime {
        let advanced = self.advanced_seconds.load(Ordering::SeqCst);
        let epoch = OffsetDateTime::from_unix_timestamp(EPOCH + advanced).unwrap();
        epoch + self.start.elapsed()
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let Some(request) = peek(&stream)? else { return Ok(()) };
        match self.reply(&request) {
            // Closed with the request unread, the connection is reset.
            Reply::Reset => Ok(()),
            Reply::Silence => stream.read_to_end(&mut Vec::new()).map(drop),
            Reply::Bytes(bytes) => {
                stream.read_exact(&mut vec![0; request.len()])?;
                stream.write_all(&bytes)
            }
        }
    }

    fn reply(&self, request: &str) -> Reply {
        let target = request.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        let endpoint = match path {
            "/oauth/access_token" => Endpoint::Token,
            "/access_token" => Endpoint::Exchange,
            "/refresh_access_token" => Endpoint::Refresh,
            "/me" => Endpoint::Me,
            "/sandbox/clock" => return self.clock(),
            _ => return Reply::html(404, "nothing is planned here"),
        };
        self.asked.lock().unwrap().push(Asked { endpoint, text: request.to_owned() });
        let mut plans = self.plans.lock().unwrap();
        let replies = plans.get_mut(&endpoint).expect("every endpoint is planned");
        if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() }
    }

    fn clock(&self) -> Reply {
        let now = self.now().format(&Rfc3339).unwrap();
        Reply::json(200, &format!(r#"{{"now":"{now}"}}"#))
    }
}

/// Waits for a whole request and leaves it unread; `None` where the connection ends before.
fn peek(stream: &TcpStream) -> std::io::Result<Option<String>> {
    let mut buffer = vec![0; MAX_REQUEST_BYTES];
    let mut seen = 0;
    loop {
        let arrived = stream.peek(&mut buffer)?;
        if arrived == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&buffer[..arrived]);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= content_length(head)
        {
            return Ok(Some(text.into_owned()));
        }
        if arrived == seen {
            thread::yield_now();
        }
        seen = arrived;
    }
}

fn content_length(head: &str) -> usize {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.map_or(0, |(_, value)| value.trim().parse().unwrap())
}
