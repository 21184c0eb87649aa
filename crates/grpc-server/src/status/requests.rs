//! Bad requests, and the failures of `Get`, `Refresh` and `Unlink`.

use ig_application::{DeadToken, GetAccountError, RefreshAccountError, UnlinkAccountError};
use ig_domain::{AccountStatus, OwnerNotAllowed};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::Status;

use super::{Problem, Reason, ToStatus, internal};
use crate::convert::{InvalidRequest, reauthorization_reason};

/// Maximum number of bad fields in a message; the details name them all.
const MAX_LISTED_VIOLATIONS: usize = 10;

impl ToStatus for InvalidRequest {
    fn to_status(&self) -> Status {
        let told = self.violations.iter().map(|one| format!("{}: {}", one.field, one.description));
        let mut told: Vec<_> = told.take(MAX_LISTED_VIOLATIONS).collect();
        if let Some(more @ 1..) = self.violations.len().checked_sub(MAX_LISTED_VIOLATIONS) {
            told.push(format!("and {more} more"));
        }
        let message = told.join("; ");
        let problem = Problem::new(Reason::InvalidField, message);
        problem.violations(self.violations.clone()).into_status()
    }
}

impl ToStatus for OwnerNotAllowed {
    fn to_status(&self) -> Status {
        let message = "this caller may not act for the owner that the request names";
        Problem::new(Reason::PermissionDenied, message).into_status()
    }
}

impl ToStatus for GetAccountError {
    fn to_status(&self) -> Status {
        match self {
            Self::NotFound => account_not_found(),
            Self::Store(error) => error.to_status(),
        }
    }
}

impl ToStatus for UnlinkAccountError {
    fn to_status(&self) -> Status {
        match self {
            Self::NotFound => account_not_found(),
            Self::Store(error) => error.to_status(),
        }
    }
}

impl ToStatus for RefreshAccountError {
    fn to_status(&self) -> Status {
        match self {
            Self::NotFound => account_not_found(),
            Self::ReauthorizationRequired(dead) => reauthorization_required(dead),
            Self::Instagram(error) => error.to_status(),
            Self::Store(error) => error.to_status(),
            Self::Panicked => internal(self.clone()),
        }
    }
}

/// The status where an account is not there, or another owner's.
pub(super) fn account_not_found() -> Status {
    let message = "there is no such account, or it belongs to another owner";
    Problem::new(Reason::AccountNotFound, message).into_status()
}

/// The status where a token is dead.
pub(super) fn reauthorization_required(DeadToken { view, facts }: &DeadToken) -> Status {
    let reason = match view.status {
        AccountStatus::Active => None,
        AccountStatus::ReauthorizationRequired(reason) => {
            let name = reauthorization_reason(reason).as_str_name();
            name.strip_prefix("REAUTHORIZATION_REASON_")
        }
    };
    let message = "the account's token is dead; the person must consent again: BeginLink with this \
         account_id, then Link";
    Problem::new(Reason::ReauthorizationRequired, message)
        .fact("reauthorization_reason", reason)
        .fact("expire_time", moment(view.account.token_expire_time))
        .graph_facts(facts)
        .into_status()
}

/// A moment as a fact of an error; `None` where it is not known.
pub(super) fn moment(time: Option<OffsetDateTime>) -> Option<String> {
    time?.format(&Rfc3339).ok()
}
