//! Reasons by which callers decide.

use tonic::Code;

/// Declares the reasons, each by a row: its name on the wire, and the status code that goes with it.
macro_rules! reasons {
    ($($(#[$doc:meta])+ $reason:ident = $name:literal, $code:ident;)+) => {
        /// Reason for which a call failed. One that has been seen keeps its meaning and its code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Reason {
            $($(#[$doc])+ $reason,)+
        }

        impl Reason {
            /// Every reason.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$reason),+];

            /// The name on the wire.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }

            /// The status code that goes with it.
            pub(crate) fn code(self) -> Code {
                match self {
                    $(Self::$reason => Code::$code,)+
                }
            }
        }
    };
}

reasons! {
    /// A field is missing, too long or malformed.
    InvalidField = "INVALID_FIELD", InvalidArgument;
    /// The redirect URI is not allowed, or differs from the one of the authorization.
    RedirectUriRejected = "REDIRECT_URI_REJECTED", InvalidArgument;
    /// The browser came back with an error instead of a code.
    ConsentDenied = "CONSENT_DENIED", FailedPrecondition;
    /// Instagram refuses the token that is to be imported.
    TokenRejected = "TOKEN_REJECTED", FailedPrecondition;
    /// Instagram refused the code.
    CodeRejected = "CODE_REJECTED", FailedPrecondition;
    /// The state does not serve.
    StateRejected = "STATE_REJECTED", FailedPrecondition;
    /// The account is personal.
    PersonalAccount = "PERSONAL_ACCOUNT", FailedPrecondition;
    /// `instagram_business_basic` was not granted.
    ScopeMissing = "SCOPE_MISSING", FailedPrecondition;
    /// Not the account that was to be re-authorised.
    WrongAccount = "WRONG_ACCOUNT", FailedPrecondition;
    /// The account lives under another owner.
    OwnedByAnother = "OWNED_BY_ANOTHER", AlreadyExists;
    /// The code was sent and its answer lost.
    LinkInterrupted = "LINK_INTERRUPTED", Aborted;
    /// The caller is not known.
    Unauthenticated = "UNAUTHENTICATED", Unauthenticated;
    /// The caller may not do this, or not for this owner.
    PermissionDenied = "PERMISSION_DENIED", PermissionDenied;
    /// There is no such account of this owner.
    AccountNotFound = "ACCOUNT_NOT_FOUND", NotFound;
    /// The token is dead.
    ReauthorizationRequired = "REAUTHORIZATION_REQUIRED", FailedPrecondition;
    /// The token lives shorter than asked and cannot be renewed now.
    MinTtlUnmet = "MIN_TTL_UNMET", FailedPrecondition;
    /// The operator must act; the account is fine.
    AppMisconfigured = "APP_MISCONFIGURED", FailedPrecondition;
    /// Instagram throttles us.
    RateLimited = "RATE_LIMITED", ResourceExhausted;
    /// What a cursor names is not kept, or was never committed.
    CursorExpired = "CURSOR_EXPIRED", OutOfRange;
    /// The caller has as many calls under way as it may.
    Overloaded = "OVERLOADED", ResourceExhausted;
    /// Instagram cannot be reached or has trouble of its own.
    InstagramUnavailable = "INSTAGRAM_UNAVAILABLE", Unavailable;
    /// The store is away.
    StoreUnavailable = "STORE_UNAVAILABLE", Unavailable;
    /// This replica, or the connection, ends: connect anew.
    ShuttingDown = "SHUTTING_DOWN", Unavailable;
    /// Instagram answered something that we cannot read.
    InstagramUnexpected = "INSTAGRAM_UNEXPECTED", Internal;
    /// The caller's deadline passed.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded;
    /// The fault is ours.
    Internal = "INTERNAL", Internal;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../../../docs/ERRORS.md");

    /// The cells of each row of the page's table: its reasons, and their codes.
    fn documented() -> impl Iterator<Item = (Vec<&'static str>, Vec<String>)> {
        let (_, table) = PAGE.split_once("## What your service does with each reason").unwrap();
        let (table, _) = table.split_once("\n## ").unwrap();
        table.lines().filter(|line| line.starts_with("| `")).map(|row| {
            let mut cells = row.split('|').skip(1);
            let reasons = cells.next().unwrap().split('`').skip(1).step_by(2).collect();
            let codes = cells.next().unwrap().split(", ");
            (reasons, codes.map(|code| code.trim().replace('_', "").to_lowercase()).collect())
        })
    }

    #[test]
    fn the_page_has_every_reason_with_its_code() {
        let mut missing: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        for (reasons, codes) in documented() {
            let mut found = BTreeSet::new();
            for name in reasons {
                assert!(
                    missing.remove(name),
                    "docs/ERRORS.md: {name} is no reason, or there twice"
                );
                let reason = Reason::ALL.iter().find(|reason| reason.as_str() == name).unwrap();
                found.insert(format!("{:?}", reason.code()).to_lowercase());
            }
            assert_eq!(found, codes.into_iter().collect(), "docs/ERRORS.md");
        }
        assert!(missing.is_empty(), "docs/ERRORS.md lacks {missing:?}");
    }
}
