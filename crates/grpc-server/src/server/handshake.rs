//! Waits for the handshake of a client, TLS and the preface of HTTP/2, within a timeout.

use std::io;
use std::io::Cursor;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::either::Either;

use super::lingering::Lingering;
use crate::peer_names::PeerNames;
use crate::tls::Tls;

/// Size of the preface with which an HTTP/2 client begins, in bytes.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc9113#section-3.4>.
const PREFACE_BYTES: usize = 24;

/// Timeout of the handshake, TLS and preface included. Ours; after it, keepalive takes over.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The connection after its handshake, with the preface still to be read; and the names of the client's certificate,
/// where it shows one.
///
/// # Errors
///
/// [`io::Error`] when the client takes too long or goes away, or when the handshake fails.
pub(super) async fn handshake(
    stream: TcpStream,
    tls: Option<Tls>,
) -> io::Result<(impl AsyncRead + AsyncWrite + Unpin, Option<PeerNames>)> {
    let shaken = async {
        let (mut reader, writer, names) = opened(stream, tls).await?;
        let mut preface = [0; PREFACE_BYTES];
        reader.read_exact(&mut preface).await?;
        let stream = tokio::io::join(Cursor::new(preface).chain(reader), writer);
        Ok((Lingering::new(stream), names))
    };
    tokio::time::timeout(HANDSHAKE_TIMEOUT, shaken).await?
}

/// Both halves of the connection, after a handshake where there is TLS.
async fn opened(
    stream: TcpStream,
    tls: Option<Tls>,
) -> io::Result<(impl AsyncRead + Unpin, impl AsyncWrite + Unpin, Option<PeerNames>)> {
    let Some(tls) = tls else {
        let (reader, writer) = stream.into_split();
        return Ok((Either::Left(reader), Either::Left(writer), None));
    };
    let stream = tls.acceptor().accept(stream).await?;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let names = certificate.map(PeerNames::of);
    let (reader, writer) = tokio::io::split(stream);
    Ok((Either::Right(reader), Either::Right(writer), names))
}
