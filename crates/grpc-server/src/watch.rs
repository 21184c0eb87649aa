//! Drives streams of `Watch`: from the use case to the client, as fast as that reads.
//!
//! A body whose client does not read is never polled. So each stream runs apart from it, ends in time whether anybody
//! reads or not, and hands its messages to the body through a channel of one.

mod driver;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use hyper::body::Bytes;
use ig_application::{WatchEnd, WatchMessage, WatchStream};
use tokio::sync::mpsc;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tracing::Instrument as _;

pub(crate) use self::driver::StreamDriver;
use crate::answer_timeout::AnswerTimeout;
use crate::calls::{Context, Panicked};
use crate::convert;
use crate::encoded_answer::encode;
use crate::encoded_stream::{Encoded, EncodedStream};
use crate::status::{ToStatus as _, internal};

/// Timeout of a client that does not take the end of its stream, which is reset then. With the stream's own time to
/// judge its caller anew it is gone within 15 seconds.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The messages of `stream`, which `driver` runs for as long as they are wanted. Its end is sent to the caller of
/// `context`.
pub(crate) fn drive(stream: WatchStream, context: Context, driver: &StreamDriver) -> EncodedStream {
    let (sender, receiver) = mpsc::channel(1);
    let answer_timeout = AnswerTimeout::current();
    let driving = async move {
        let end = match AssertUnwindSafe(forward(stream, &sender)).catch_unwind().await {
            Ok(Some(end)) => Ok(end),
            Ok(None) => return,
            // A channel that only closes would end the stream without a status.
            Err(_) => Err(Panicked),
        };
        if let Some(answer_timeout) = answer_timeout {
            answer_timeout.start(END_TIMEOUT);
        }
        let sent = timeout(END_TIMEOUT, send_end(end, &context, &sender)).await;
        if sent.is_err() {
            tracing::debug!("a client did not take the end of its stream");
        }
    };
    driver.run(driving.in_current_span());
    EncodedStream::new(receiver)
}

/// Forwards messages until the stream ends; `None` where its client has gone.
async fn forward(mut stream: WatchStream, sender: &Sender<Encoded>) -> Option<WatchEnd> {
    loop {
        let message = tokio::select! {
            biased;
            () = sender.closed() => return None,
            message = stream.next() => message,
        };
        let message = match message {
            Ok(message) => message,
            Err(end) => return Some(end),
        };
        let parts = message.encoded(encoded).to_vec();
        // Its client may take its time.
        drop(message);
        for part in parts {
            // Mostly there is a place: the client has taken what came before.
            let place = match sender.try_reserve() {
                Ok(place) => place,
                Err(TrySendError::Closed(())) => return None,
                Err(TrySendError::Full(())) => tokio::select! {
                    biased;
                    end = stream.must_end() => return Some(end),
                    place = sender.reserve() => place.ok()?,
                },
            };
            place.send(Ok(part));
        }
    }
}

/// The parts of a message.
fn encoded(message: &WatchMessage) -> Vec<Bytes> {
    convert::watch_responses(message).into_iter().map(|part| encode(&part)).collect()
}

/// Sends the end, after the last message if there is one.
async fn send_end(end: Result<WatchEnd, Panicked>, context: &Context, sender: &Sender<Encoded>) {
    let status = end.as_ref().map_or_else(|_| internal(Panicked), WatchEnd::to_status);
    log_end(&status, context);
    if let Ok(WatchEnd::Stopped { last: Some(last) }) = end {
        for part in encoded(&last) {
            let _gone = sender.send(Ok(part)).await;
        }
    }
    let _gone = sender.send(Err(context.signed(status))).await;
}

/// Writes the line of a stream's end.
fn log_end(status: &Status, context: &Context) {
    let info = status.get_details_error_info();
    let reason = info.as_ref().map(|info| info.reason.as_str());
    let (caller, request_id) = (context.caller().name.as_str(), context.request_id());
    if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) {
        tracing::warn!(rpc = "Watch", caller, reason, request_id, "stream ended");
    } else {
        tracing::debug!(rpc = "Watch", caller, reason, request_id, "stream ended");
    }
}
