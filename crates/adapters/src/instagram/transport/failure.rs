//! Failures of requests: what each means for the work, and what to tell an operator.

use std::error::Error;
use std::io;

use ig_domain::ports::{InstagramError, InstagramErrorKind};

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// Meaning for the work.
    pub(super) error: InstagramError,
    /// Cause, without anything that was sent or received.
    pub(super) cause: String,
}

impl Failure {
    /// The time for the whole call was over.
    pub(super) fn timed_out() -> Self {
        Self { error: InstagramErrorKind::NoAnswer.into(), cause: "timed out".to_owned() }
    }
}

impl From<reqwest::Error> for Failure {
    /// A failure without a whole answer.
    fn from(error: reqwest::Error) -> Self {
        Self { error: kind(&error).into(), cause: cause(&error) }
    }
}

/// Whether a request without a whole answer was sent.
///
/// Not sent is only what provably was not: no request is written before name, TCP, proxy and TLS are done, and
/// their failures are marked. All else counts as sent, also where a connection broke before the request was
/// written, since a code must never go out twice on a guess.
fn kind(error: &reqwest::Error) -> InstagramErrorKind {
    if error.is_connect() || error.is_builder() {
        InstagramErrorKind::NotSent
    } else {
        InstagramErrorKind::NoAnswer
    }
}

/// Cause. Once a request was sent it may come back in an error's text, so from then on only the kind is told.
fn cause(error: &reqwest::Error) -> String {
    let chain = || std::iter::successors(error.source(), |cause| (*cause).source());
    if error.is_timeout() {
        let what = if error.is_connect() { "no connection" } else { "no answer" };
        return format!("{what} in time");
    }
    if error.is_connect() {
        return chain().last().map_or_else(String::new, ToString::to_string);
    }
    let broken = chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    broken.map_or_else(
        || "the connection broke off, or the answer is no HTTP".to_owned(),
        |broken| broken.kind().to_string(),
    )
}
