//! The limits of HTTP/2. Callers share connections behind a proxy, so each is chosen such that nothing a caller can get
//! past a proxy ends a connection. `docs/ARCHITECTURE.md` has the reasons in a table.

use std::time::Duration;

use hyper::server::conn::http2::Builder;
use hyper_util::rt::TokioTimer;

use super::streams::BegunStreams;

/// Maximum number of concurrent streams per connection.
const MAX_CONCURRENT_STREAMS: u32 = 256;

/// Maximum number of streams that a client has reset before the server began them. More than fit into what is read in
/// one turn, so that a connection never comes to it.
const MAX_PENDING_ACCEPT_RESET_STREAMS: usize = 4096;

/// Maximum number of streams that the server resets for errors of the client, over the whole life of a connection: any.
/// A connection of a proxy lives for days, so every number is reached. Resets do not pile up: while they cannot be
/// written, nothing is read.
const MAX_LOCAL_ERROR_RESET_STREAMS: Option<usize> = None;

/// Maximum size of the header list of one request, in bytes; beyond it the library answers 431, and beyond four times
/// of it ends the connection. Far above what a request may have, and above what proxies let through.
const MAX_HEADER_LIST_SIZE: u32 = 64 * 1024;

/// Size of the table by which repeated headers are compressed, in bytes.
const HEADER_TABLE_SIZE: u32 = 4096;

/// Maximum size of a frame, in bytes: the smallest that is allowed.
const MAX_FRAME_SIZE: u32 = 16 * 1024;

/// Maximum number of bytes of one stream that wait to be taken by its handler.
pub(super) const STREAM_WINDOW: u32 = 64 * 1024;

/// Maximum number of bytes of all streams that wait so. Half of it bounds what small frames cost.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Maximum size of what is buffered of one answer beyond what its client can take, in bytes.
const MAX_SEND_BUFFER_SIZE: usize = 64 * 1024;

/// Silence after which a client is asked whether it is still there. With [`KEEPALIVE_TIMEOUT`] a client that vanished
/// holds its streams for 12 seconds, so that another one has its consumer within 15.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(6);

/// Time within which it must answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(6);

/// Builder that serves a connection within the limits.
pub(super) fn builder(streams: BegunStreams) -> Builder<BegunStreams> {
    let mut builder = Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_ACCEPT_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_LOCAL_ERROR_RESET_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST_SIZE)
        .header_table_size(HEADER_TABLE_SIZE)
        .max_frame_size(MAX_FRAME_SIZE)
        .adaptive_window(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SEND_BUFFER_SIZE)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}
