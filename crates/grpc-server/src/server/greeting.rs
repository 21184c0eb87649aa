//! Waits for a client to say that it speaks HTTP/2, and not for long.

use std::io;
use std::io::Cursor;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;

/// How many bytes an HTTP/2 client begins with.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc9113#section-3.4>.
const PREFACE: usize = 24;

/// How long a client may take to send them. Ours; once they are there, keepalive takes over.
const PATIENCE: Duration = Duration::from_secs(10);

/// The connection once its client has greeted, with the greeting still to be read.
///
/// # Errors
///
/// When the client takes too long or goes away.
pub(super) async fn greeted(
    mut stream: TcpStream,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin> {
    let mut preface = [0; PREFACE];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut preface)).await??;
    let (reader, writer) = stream.into_split();
    Ok(tokio::io::join(Cursor::new(preface).chain(reader), writer))
}
