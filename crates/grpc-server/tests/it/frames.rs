//! A client that sends HTTP/2 frame by frame, also those that no library sends.
//!
//! Source: <https://www.rfc-editor.org/rfc/rfc9113#section-6>, and RFC 7541 for the header block.

use std::collections::BTreeMap;

use ig_proto::v1;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::protocol::framed;
use crate::world::Server;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Preface and empty settings with which a client begins.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Settings by which answers have no room before it is given: an initial window of 0.
pub(crate) const NO_WINDOW: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";

/// A frame that arrived.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection with the frames that arrived on it, counted by kind.
pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) arrived: BTreeMap<u8, usize>,
}

/// A frame to send.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The header block of a request; each field as it is, without a table.
pub(crate) fn block(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pseudo =
        [(":method", method), (":scheme", "http"), (":path", path), (":authority", "test")];
    let mut block = Vec::new();
    for (name, value) in pseudo.iter().chain(fields) {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// An integer of a prefix of seven bits.
fn length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        return block.push(u8::try_from(length).unwrap());
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// The headers of a call of this method, of our service where no other is named.
pub(crate) fn call(stream: u32, method: &str) -> Vec<u8> {
    let path =
        if method.contains('/') { method.to_owned() } else { format!("/{SERVICE_NAME}/{method}") };
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    frame(HEADERS, END_HEADERS, stream, &block("POST", &path, &fields))
}

/// The frames of a whole `List`.
pub(crate) fn list(stream: u32) -> Vec<u8> {
    let message = framed(&v1::ListRequest::default());
    [call(stream, "List"), frame(DATA, END_STREAM, stream, &message)].concat()
}

/// The frames of a whole `List` of the caller with this token.
pub(crate) fn list_by(token: &str, stream: u32) -> Vec<u8> {
    let authorization = format!("Bearer {token}");
    let fields = [("content-type", "application/grpc"), ("authorization", &authorization)];
    let headers = block("POST", &format!("/{SERVICE_NAME}/List"), &fields);
    let message = framed(&v1::ListRequest::default());
    let headers = frame(HEADERS, END_HEADERS, stream, &headers);
    [headers, frame(DATA, END_STREAM, stream, &message)].concat()
}

/// Frame that ends a stream.
pub(crate) fn reset(stream: u32) -> Vec<u8> {
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    frame(RST_STREAM, 0, stream, &CANCEL)
}

/// The stream of the call with this number.
pub(crate) fn stream(number: u32) -> u32 {
    2 * number + 1
}

impl Connection {
    pub(crate) async fn open(server: &Server) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        Self { stream, arrived: BTreeMap::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Frame {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.unwrap();
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).await.unwrap();
        *self.arrived.entry(kind).or_default() += 1;
        if (kind, flags) == (SETTINGS, 0) {
            self.send(&frame(SETTINGS, ACK, 0, &[])).await;
        }
        if (kind, flags) == (PING, 0) {
            self.send(&frame(PING, ACK, 0, &payload)).await;
        }
        Frame { kind, flags, stream: u32::from_be_bytes(id), payload }
    }

    /// Reads until so many frames of that kind have arrived in all.
    pub(crate) async fn read_until(&mut self, kind: u8, count: usize) {
        while self.arrived.get(&kind).is_none_or(|arrived| *arrived < count) {
            let frame = self.next().await;
            assert!(kind == GOAWAY || frame.kind != GOAWAY, "{}", frame.payload.escape_ascii());
        }
    }

    /// Whether the call on this stream is answered by a message, once it is answered.
    pub(crate) async fn is_answered(&mut self, stream: u32) -> bool {
        loop {
            let frame = self.next().await;
            assert_ne!(frame.kind, GOAWAY, "{}", frame.payload.escape_ascii());
            if frame.stream == stream && frame.kind == DATA && !frame.payload.is_empty() {
                return true;
            }
            let ended = frame.kind == RST_STREAM
                || matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0;
            if frame.stream == stream && ended {
                return false;
            }
        }
    }

    /// Makes a `List` on this stream, which must be answered.
    pub(crate) async fn serves(&mut self, stream: u32) {
        self.send(&list(stream)).await;
        assert!(self.is_answered(stream).await, "the call is not answered");
    }
}
