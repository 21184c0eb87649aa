//! A connection of HTTP/2, as far as unary calls need it whose messages and field blocks each fit into a frame.
//!
//! By hand: a client library took a third of all processor time, which the servers then lacked, so that a fast one looked
//! like a slow one. Field blocks of answers are not read, since a call that failed has no message.
//!
//! Source of all numbers: <https://www.rfc-editor.org/rfc/rfc9113>, and for field blocks (HPACK)
//! <https://www.rfc-editor.org/rfc/rfc7541>.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's own header.
const FRAME_HEADER: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Fields `:method: POST` and `:scheme: http` of the static table. The scheme is that by TLS too: no server looks at it.
const STATIC_FIELDS: [u8; 2] = [INDEXED | 3, INDEXED | 6];

/// Begins a field that is an index of a table.
const INDEXED: u8 = 0x80;

/// Begins a literal field with a literal name, which is put before all others in the dynamic table.
const LITERAL_WITH_INDEXING: u8 = 0x40;

/// Index of the first field in the dynamic table.
const DYNAMIC_TABLE: u8 = 62;

/// Number of bytes that are read at once.
const READ_SIZE: usize = 16 * 1024;

/// Number of received bytes after which the connection's window is enlarged by as many: half of its initial size.
const WINDOW_UPDATE_STEP: u32 = 32 * 1024;

/// What arrives on a stream.
pub(crate) enum Part<'a> {
    /// The message, behind its header.
    Message(&'a [u8]),
    /// The end of the answer.
    End,
}

/// A connection to a server.
pub(crate) struct Connection<S> {
    stream: S,
    /// Field block of the first request, and of each further one.
    field_blocks: [Vec<u8>; 2],
    received: Vec<u8>,
    to_send: Vec<u8>,
    next_stream: u32,
    /// Number of bytes received since the last update of the window.
    unacknowledged: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Opens a connection for requests with these fields beside method and scheme.
    pub(crate) fn open(stream: S, fields: &[(&str, &str)]) -> Self {
        let field_blocks = [literal_fields(fields), indexed_fields(fields.len())];
        let (received, to_send) = (Vec::new(), PREFACE.to_vec());
        let mut opened =
            Self { stream, field_blocks, received, to_send, next_stream: 1, unacknowledged: 0 };
        push_frame(&mut opened.to_send, SETTINGS, 0, 0, &[]);
        opened
    }

    /// Begins a call with this message, behind its header, and returns its stream. It leaves with the next
    /// [`turn`](Self::turn).
    pub(crate) fn begin(&mut self, message: &[u8]) -> u32 {
        let (stream, [first, further]) = (self.next_stream, &self.field_blocks);
        self.next_stream += 2;
        let fields = if stream == 1 { first } else { further };
        push_frame(&mut self.to_send, HEADERS, END_HEADERS, stream, fields);
        push_frame(&mut self.to_send, DATA, END_STREAM, stream, message);
        stream
    }

    /// Sends what was begun, and waits for something to arrive.
    pub(crate) async fn turn(&mut self, mut arrived: impl FnMut(u32, Part<'_>)) {
        self.stream.write_all(&self.to_send).await.unwrap();
        self.stream.flush().await.unwrap();
        self.to_send.clear();
        self.received.reserve(READ_SIZE);
        let length = self.stream.read_buf(&mut self.received).await.unwrap();
        assert!(length > 0, "the server has closed the connection");
        let mut rest = self.received.as_slice();
        while let Some((kind, flags, stream, payload)) = take_frame(&mut rest) {
            match kind {
                DATA if payload.is_empty() => {}
                DATA => {
                    self.unacknowledged += u32::try_from(payload.len()).unwrap();
                    arrived(stream, Part::Message(payload));
                }
                SETTINGS | PING if flags & ACK == 0 => {
                    let answer = if kind == PING { payload } else { &[] };
                    push_frame(&mut self.to_send, kind, ACK, 0, answer);
                }
                HEADERS | SETTINGS | PING | WINDOW_UPDATE => {}
                _ => {
                    panic!("the server breaks off, or what it says is unknown: {kind} {payload:?}")
                }
            }
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                arrived(stream, Part::End);
            }
        }
        let used = self.received.len() - rest.len();
        self.received.drain(..used);
        if self.unacknowledged >= WINDOW_UPDATE_STEP {
            let increment = std::mem::take(&mut self.unacknowledged).to_be_bytes();
            push_frame(&mut self.to_send, WINDOW_UPDATE, 0, 0, &increment);
        }
    }
}

/// A field block that puts its fields into the server's dynamic table.
fn literal_fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = STATIC_FIELDS.to_vec();
    for (name, value) in fields {
        block.push(LITERAL_WITH_INDEXING);
        for text in [name, value] {
            // From 127 on, a length takes more than a byte.
            block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A field block of so many fields that are in the dynamic table, the last one first.
fn indexed_fields(fields: usize) -> Vec<u8> {
    let end = DYNAMIC_TABLE + u8::try_from(fields).unwrap();
    let indexed = (DYNAMIC_TABLE..end).map(|index| INDEXED | index);
    STATIC_FIELDS.into_iter().chain(indexed.rev()).collect()
}

fn push_frame(to_send: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    to_send.extend_from_slice(&length[1..]);
    to_send.extend_from_slice(&[kind, flags]);
    to_send.extend_from_slice(&stream.to_be_bytes());
    to_send.extend_from_slice(payload);
}

/// Kind, flags, stream and payload of the next frame, once it is whole.
fn take_frame<'a>(received: &mut &'a [u8]) -> Option<(u8, u8, u32, &'a [u8])> {
    let (header, rest) = received.split_first_chunk::<FRAME_HEADER>()?;
    let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *header;
    let length = u32::from_be_bytes([0, l0, l1, l2]);
    let (payload, rest) = rest.split_at_checked(usize::try_from(length).unwrap())?;
    *received = rest;
    Some((kind, flags, u32::from_be_bytes([s0, s1, s2, s3]), payload))
}
