//! Refusals: what a call that was not answered says, as types.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Domain of the service's own reasons.
const DOMAIN: &str = "instagram.accounts";

/// Declares the reasons, each by a row: its variant, and its name on the wire.
macro_rules! reasons {
    ($($(#[$doc:meta])+ $reason:ident = $name:literal;)+) => {
        /// Reason for which the service refused a call. It keeps its meaning in all versions.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])+ $reason,)+
            /// A reason that this version of the client does not know, by its name.
            Unknown(String),
        }

        impl Reason {
            /// Every reason but unknown ones.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$reason),+];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$reason => $name,)+
                    Self::Unknown(name) => name,
                }
            }

            fn parse(name: String) -> Self {
                match name.as_str() {
                    $($name => Self::$reason,)+
                    _ => Self::Unknown(name),
                }
            }
        }
    };
}

reasons! {
    /// A field is missing, too long or malformed: see [`Refusal::field_violations`].
    InvalidField = "INVALID_FIELD";
    /// The redirect URI is not allowed, or differs from the one of the authorization.
    RedirectUriRejected = "REDIRECT_URI_REJECTED";
    /// The person declined.
    ConsentDenied = "CONSENT_DENIED";
    /// Instagram refuses the token that is to be imported, or its person removed the app since it was issued.
    TokenRejected = "TOKEN_REJECTED";
    /// Instagram refused the code: begin a new link.
    CodeRejected = "CODE_REJECTED";
    /// The state does not serve; `cause` says why. Begin a new link.
    StateRejected = "STATE_REJECTED";
    /// The account is personal, which cannot be linked.
    PersonalAccount = "PERSONAL_ACCOUNT";
    /// `instagram_business_basic` was not granted.
    ScopeMissing = "SCOPE_MISSING";
    /// Not the account that was to be re-authorised.
    WrongAccount = "WRONG_ACCOUNT";
    /// The account lives under another owner.
    OwnedByAnother = "OWNED_BY_ANOTHER";
    /// The code was sent and its answer lost: begin a new link.
    LinkInterrupted = "LINK_INTERRUPTED";
    /// The service does not know the caller.
    Unauthenticated = "UNAUTHENTICATED";
    /// The caller may not do this, or not for this owner.
    PermissionDenied = "PERMISSION_DENIED";
    /// There is no such account of this owner.
    AccountNotFound = "ACCOUNT_NOT_FOUND";
    /// The token is dead, `reauthorization_reason` says why: the person must consent again.
    ReauthorizationRequired = "REAUTHORIZATION_REQUIRED";
    /// The token lives until `expire_time`, which is sooner than asked, and cannot be renewed now; `cause` says why.
    MinTtlUnmet = "MIN_TTL_UNMET";
    /// The service's operator must act; the account is fine.
    AppMisconfigured = "APP_MISCONFIGURED";
    /// Instagram throttles the service.
    RateLimited = "RATE_LIMITED";
    /// What a cursor names is not kept, or was never committed: list, then watch.
    CursorExpired = "CURSOR_EXPIRED";
    /// The caller has as much under way as it may.
    Overloaded = "OVERLOADED";
    /// Instagram cannot be reached or has trouble of its own.
    InstagramUnavailable = "INSTAGRAM_UNAVAILABLE";
    /// The service's store is away.
    StoreUnavailable = "STORE_UNAVAILABLE";
    /// The replica, or the connection, ends.
    ShuttingDown = "SHUTTING_DOWN";
    /// Instagram answered something that the service cannot read.
    InstagramUnexpected = "INSTAGRAM_UNEXPECTED";
    /// The call's deadline passed. Work that began goes on, and the same call joins it.
    DeadlineExceeded = "DEADLINE_EXCEEDED";
    /// The fault is the service's.
    Internal = "INTERNAL";
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A field that the service does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldViolation {
    /// The field's name in the request's message.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// A call that was not answered, by the service or on the way to it. Clones share their content.
#[derive(Clone, Debug)]
pub struct Refusal(Arc<Details>);

#[derive(Debug)]
struct Details {
    code: Code,
    reason: Option<Reason>,
    message: String,
    metadata: HashMap<String, String>,
    field_violations: Vec<FieldViolation>,
    retry_delay: Option<Duration>,
    request_id: Option<String>,
}

impl Refusal {
    /// The status code of gRPC.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The service's reason. `None` where the call did not come to the service, or not back.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        self.0.reason.as_ref()
    }

    /// What happened, for the person who reads it; it may change between versions.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// A fact that goes with the reason, such as `cause`, `reauthorization_reason`, `expire_time` (RFC 3339),
    /// `instagram_code`, `instagram_subcode` or `fbtrace_id`. `None` where it is not told.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.0.metadata.get(key).map(String::as_str)
    }

    /// The bad fields of the request, all of them; empty for other reasons.
    #[must_use]
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.0.field_violations
    }

    /// The time after which the service wants to be asked again. `None` where it names none.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_delay
    }

    /// The id under which the service's log has the call. `None` where the service did not answer.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// A call that took longer than it may.
    pub(crate) fn deadline_exceeded() -> Self {
        let reason = Some(Reason::DeadlineExceeded);
        let message = "the deadline of the call passed".to_owned();
        Self::ours(Code::DeadlineExceeded, reason, message)
    }

    /// What cannot be done now, without a word of the service.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::ours(Code::Unavailable, None, message.into())
    }

    fn ours(code: Code, reason: Option<Reason>, message: String) -> Self {
        Self(Arc::new(Details {
            code,
            reason,
            message,
            metadata: HashMap::new(),
            field_violations: Vec::new(),
            retry_delay: None,
            request_id: None,
        }))
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let violations = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
        let field_violations = violations.map(|violation| FieldViolation {
            field: violation.field.clone(),
            description: violation.description.clone(),
        });
        Self(Arc::new(Details {
            code: status.code(),
            reason: info.map(|info| Reason::parse(info.reason.clone())),
            message: with_causes(&status),
            metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
            field_violations: field_violations.collect(),
            retry_delay: details.retry_info().and_then(|retry| retry.retry_delay),
            request_id: details.request_info().map(|request| request.request_id.clone()),
        }))
    }
}

/// The message and, of what happened on the way, its causes, such as a refused connection.
fn with_causes(status: &Status) -> String {
    let mut message = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(reason) => write!(formatter, "{reason}: ")?,
            None => write!(formatter, "{:?}: ", self.code())?,
        }
        formatter.write_str(self.message())?;
        match self.request_id() {
            Some(request_id) => write!(formatter, " (request {request_id})"),
            None => Ok(()),
        }
    }
}

impl Error for Refusal {}

#[cfg(test)]
mod tests;
