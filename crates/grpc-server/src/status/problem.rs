//! Puts a status together.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::GraphFacts;
use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::Reason;

/// Metadata by which a gRPC library that retries by itself is told how many milliseconds to wait; it reads no details.
/// By a negative number it is told not to retry.
///
/// Source: <https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback>
const RETRY_PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Maximum time for which a library is told to wait. Ours: it would wait up to the call's deadline, and the caller would
/// hear `DEADLINE_EXCEEDED` in place of the reason.
const MAX_PUSHBACK: Duration = Duration::from_secs(5);

/// The domain of every `google.rpc.ErrorInfo`.
const ERROR_DOMAIN: &str = "instagram.accounts";

/// A status in the making.
pub(crate) struct Problem {
    reason: Reason,
    message: String,
    facts: HashMap<String, String>,
    details: ErrorDetails,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem of this kind; `message` says what is wrong and what to do, and holds no secret.
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            facts: HashMap::new(),
            details: ErrorDetails::new(),
            cause: None,
        }
    }

    /// Adds a fact to the error info, if there is one.
    pub(crate) fn fact(mut self, key: &'static str, value: Option<impl ToString>) -> Self {
        self.facts.extend(value.map(|value| (key.to_owned(), value.to_string())));
        self
    }

    /// Adds Instagram's own numbers for the error.
    pub(crate) fn graph_facts(self, facts: &GraphFacts) -> Self {
        self.fact("instagram_code", facts.code)
            .fact("instagram_subcode", facts.subcode)
            .fact("fbtrace_id", facts.fbtrace_id.as_deref())
    }

    /// Says when the same call may be made again.
    pub(crate) fn retry_after(mut self, delay: Duration) -> Self {
        self.details.set_retry_info(Some(delay));
        self
    }

    /// Names bad fields.
    pub(crate) fn violations(mut self, violations: Vec<FieldViolation>) -> Self {
        self.details.set_bad_request(violations);
        self
    }

    /// The same trouble as the cause of a wider one: `reason` and `message` are the wider one's.
    pub(crate) fn causing(self, reason: Reason, message: &str) -> Self {
        let cause = self.reason.as_str();
        let message = format!("{message}: {}", self.message);
        Self { reason, message, ..self }.fact("cause", Some(cause))
    }

    /// Keeps the error behind it for the log. Callers never see it.
    pub(crate) fn caused_by(mut self, error: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(error));
        self
    }

    /// The status.
    pub(crate) fn into_status(self) -> Status {
        let Self { reason, message, facts, mut details, cause } = self;
        details.set_error_info(reason.as_str(), ERROR_DOMAIN, facts);
        let delay = details.retry_info().and_then(|retry| retry.retry_delay);
        let mut status = Status::with_error_details(reason.code(), message, details);
        if let Some(delay) = delay {
            status.metadata_mut().insert(RETRY_PUSHBACK, pushback(delay).into());
        }
        if let Some(cause) = cause {
            status.set_source(cause);
        }
        status
    }
}

/// The milliseconds of a delay, not fewer; -1 where it is too long.
fn pushback(delay: Duration) -> i32 {
    let milliseconds = delay.as_nanos().div_ceil(1_000_000);
    let milliseconds = i32::try_from(milliseconds).ok();
    milliseconds.filter(|_| delay <= MAX_PUSHBACK).unwrap_or(-1)
}

/// The status of a fault of ours: bland, since its cause is for the log.
pub(crate) fn internal(error: impl Error + Send + Sync + 'static) -> Status {
    let message = "the service failed; its log has the cause under this call's request id";
    Problem::new(Reason::Internal, message).caused_by(error).into_status()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none(Duration::ZERO, 0)]
    #[case::a_second(Duration::from_secs(1), 1_000)]
    #[case::part_of_a_millisecond(Duration::from_micros(1_001), 2)]
    #[case::the_longest(MAX_PUSHBACK, 5_000)]
    #[case::longer(MAX_PUSHBACK + Duration::from_micros(1), -1)]
    #[case::as_long_as_can_be(Duration::MAX, -1)]
    fn libraries_wait_for_as_long_as_callers_are_told_or_do_not_retry(
        #[case] delay: Duration,
        #[case] expected: i32,
    ) {
        let status = Problem::new(Reason::StoreUnavailable, "").retry_after(delay).into_status();
        assert_eq!(status.metadata().get(RETRY_PUSHBACK).unwrap(), &expected.to_string());
    }

    #[test]
    fn without_a_delay_libraries_are_told_nothing() {
        let status = Problem::new(Reason::CodeRejected, "").into_status();
        assert!(!status.metadata().contains_key(RETRY_PUSHBACK));
    }
}
