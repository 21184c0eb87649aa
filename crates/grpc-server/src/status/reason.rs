//! Reasons by which callers decide.

use tonic::Code;

/// Reason for which a call failed. One that has been seen keeps its meaning and its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A field is missing, too long or malformed.
    InvalidField,
    /// The redirect URI is not allowed, or differs from the one of the authorization.
    RedirectUriRejected,
    /// The browser came back with an error instead of a code.
    ConsentDenied,
    /// Instagram refused the code.
    CodeRejected,
    /// The state does not serve.
    StateRejected,
    /// The account is personal.
    PersonalAccount,
    /// `instagram_business_basic` was not granted.
    ScopeMissing,
    /// Not the account that was to be re-authorised.
    WrongAccount,
    /// The account lives under another owner.
    OwnedByAnother,
    /// The code was sent and its answer lost.
    LinkInterrupted,
    /// The caller is not known.
    Unauthenticated,
    /// The caller may not do this, or not for this owner.
    PermissionDenied,
    /// There is no such account of this owner.
    AccountNotFound,
    /// The token is dead.
    ReauthorizationRequired,
    /// The token lives shorter than asked and cannot be renewed now.
    MinTtlUnmet,
    /// The operator must act; the account is fine.
    AppMisconfigured,
    /// Instagram throttles us.
    RateLimited,
    /// The caller has as many calls under way as it may.
    Overloaded,
    /// Instagram cannot be reached or has trouble of its own.
    InstagramUnavailable,
    /// The store is away.
    StoreUnavailable,
    /// Instagram answered something that we cannot read.
    InstagramUnexpected,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// The fault is ours.
    Internal,
}

impl Reason {
    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidField => "INVALID_FIELD",
            Self::RedirectUriRejected => "REDIRECT_URI_REJECTED",
            Self::ConsentDenied => "CONSENT_DENIED",
            Self::CodeRejected => "CODE_REJECTED",
            Self::StateRejected => "STATE_REJECTED",
            Self::PersonalAccount => "PERSONAL_ACCOUNT",
            Self::ScopeMissing => "SCOPE_MISSING",
            Self::WrongAccount => "WRONG_ACCOUNT",
            Self::OwnedByAnother => "OWNED_BY_ANOTHER",
            Self::LinkInterrupted => "LINK_INTERRUPTED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::AccountNotFound => "ACCOUNT_NOT_FOUND",
            Self::ReauthorizationRequired => "REAUTHORIZATION_REQUIRED",
            Self::MinTtlUnmet => "MIN_TTL_UNMET",
            Self::AppMisconfigured => "APP_MISCONFIGURED",
            Self::RateLimited => "RATE_LIMITED",
            Self::Overloaded => "OVERLOADED",
            Self::InstagramUnavailable => "INSTAGRAM_UNAVAILABLE",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::InstagramUnexpected => "INSTAGRAM_UNEXPECTED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Internal => "INTERNAL",
        }
    }

    /// The status code that goes with it.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::InvalidField | Self::RedirectUriRejected => Code::InvalidArgument,
            Self::ConsentDenied
            | Self::CodeRejected
            | Self::StateRejected
            | Self::PersonalAccount
            | Self::ScopeMissing
            | Self::WrongAccount
            | Self::ReauthorizationRequired
            | Self::MinTtlUnmet
            | Self::AppMisconfigured => Code::FailedPrecondition,
            Self::OwnedByAnother => Code::AlreadyExists,
            Self::LinkInterrupted => Code::Aborted,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::PermissionDenied => Code::PermissionDenied,
            Self::AccountNotFound => Code::NotFound,
            Self::RateLimited | Self::Overloaded => Code::ResourceExhausted,
            Self::InstagramUnavailable | Self::StoreUnavailable => Code::Unavailable,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::InstagramUnexpected | Self::Internal => Code::Internal,
        }
    }
}
