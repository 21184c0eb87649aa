//! Who calls.

use std::sync::Arc;

use crate::{BearerToken, Caller, CallerName};

/// What a call brings to show who makes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// What stands in the call's `authorization`. Where something does it alone counts: a wrong token is refused
    /// whatever the certificate says.
    pub authorization: Authorization<'a>,
    /// The names in the certificate by which the connection's other end has proved itself; empty without one.
    pub certificate_names: &'a [String],
}

/// What a call's `authorization` holds.
#[derive(Clone, Copy, Debug, Default)]
pub enum Authorization<'a> {
    /// There is none.
    #[default]
    Absent,
    /// One bearer token.
    Bearer(&'a BearerToken),
    /// Something else, or several.
    Malformed,
}

/// Knows the callers.
pub trait Callers: Send + Sync {
    /// The caller that these credentials prove. Never waits.
    ///
    /// # Errors
    ///
    /// Every [`NotAuthenticated`]; the difference is for the log, not for whoever calls.
    fn authenticate(&self, credentials: Credentials<'_>) -> Result<Arc<Caller>, NotAuthenticated>;
}

/// It is not known who calls.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthenticated {
    /// There is neither a token nor a certificate.
    #[error("no credentials were sent")]
    Missing,
    /// What was sent as a token cannot be one.
    #[error("the authorization is not one bearer token")]
    Malformed,
    /// No caller has them.
    #[error("the credentials are no caller's")]
    Unknown,
    /// The certificate bears the names of several callers.
    #[error("the certificate bears the names of several callers")]
    Ambiguous,
    /// This caller's time is over.
    #[error("the caller has expired")]
    Expired(CallerName),
}

impl NotAuthenticated {
    /// The caller that it would have been.
    #[must_use]
    pub fn caller(&self) -> Option<&CallerName> {
        match self {
            Self::Expired(caller) => Some(caller),
            Self::Missing | Self::Malformed | Self::Unknown | Self::Ambiguous => None,
        }
    }
}
