//! Authentication of callers.

use std::sync::Arc;

use crate::{BearerToken, Caller, CallerName};

/// Credentials that a call brings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// Content of the call's `authorization`. Where there is one, it alone counts: a wrong token is refused even with a
    /// caller's certificate.
    pub authorization: Authorization<'a>,
    /// The names in the certificate by which the connection's other end has proved itself; empty without one.
    pub certificate_names: &'a [String],
}

/// Content of a call's `authorization`.
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

/// Authenticates callers.
pub trait Callers: Send + Sync {
    /// The caller that these credentials prove. Never waits.
    ///
    /// # Errors
    ///
    /// Every [`NotAuthenticated`]; the difference is for the log, not for the caller.
    fn authenticate(&self, credentials: Credentials<'_>) -> Result<Arc<Caller>, NotAuthenticated>;
}

/// The caller is not authenticated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthenticated {
    /// There is neither a token nor a certificate.
    #[error("no credentials were sent")]
    Missing,
    /// The text sent as a token cannot be one.
    #[error("the authorization is not one bearer token")]
    Malformed,
    /// The credentials are no caller's.
    #[error("the credentials are no caller's")]
    Unknown,
    /// The certificate bears the names of several callers.
    #[error("the certificate bears the names of several callers")]
    Ambiguous,
    /// The caller's access has expired.
    #[error("the caller has expired")]
    Expired(CallerName),
}

impl NotAuthenticated {
    /// The caller that expired credentials belong to; `None` for any other failure.
    #[must_use]
    pub fn caller(&self) -> Option<&CallerName> {
        match self {
            Self::Expired(caller) => Some(caller),
            Self::Missing | Self::Malformed | Self::Unknown | Self::Ambiguous => None,
        }
    }
}
