//! Puts a status together.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::GraphFacts;
use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::Reason;

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
        let mut status = Status::with_error_details(reason.code(), message, details);
        if let Some(cause) = cause {
            status.set_source(cause);
        }
        status
    }
}

/// The status of a fault of ours: bland, since its cause is for the log.
pub(crate) fn internal(error: impl Error + Send + Sync + 'static) -> Status {
    let message = "the service failed; its log has the cause under this call's request id";
    Problem::new(Reason::Internal, message).caused_by(error).into_status()
}
