//! Refusals of callers, before anything is read of what they ask.

use std::time::Duration;

use ig_domain::ports::NotAuthenticated;
use tonic::Status;

use super::{Problem, Reason, ToStatus};
use crate::calls::{MAX_STREAMS, Rpc};

/// Delay before a retry of a caller that has too many calls under way. Ours: most calls take less.
const RETRY_DELAY: Duration = Duration::from_secs(1);

impl ToStatus for NotAuthenticated {
    /// One answer for all: it must not tell a client that tries tokens how near one is. The log has the difference.
    fn to_status(&self) -> Status {
        let message = "it is not known who calls: send `authorization: Bearer TOKEN` with the token that the \
                       operator of this service gave you, or use your client certificate; it may be missing, \
                       wrong, removed or expired";
        Problem::new(Reason::Unauthenticated, message).caused_by(self.clone()).into_status()
    }
}

/// The status of a caller that has none of the roles that `rpc` needs.
pub(crate) fn role_missing(rpc: Rpc) -> Status {
    let roles = rpc.roles().unwrap_or_default();
    let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    let rpc = rpc.name();
    let message = format!("{rpc} needs the role {}, which this caller has not", roles.join(" or "));
    Problem::new(Reason::PermissionDenied, message).into_status()
}

/// The status of a caller that has as many calls under way as it may.
pub(crate) fn overloaded() -> Status {
    let message = "this caller has as many calls under way as it may; make the same call again once one of \
                   them has ended";
    Problem::new(Reason::Overloaded, message).retry_after(RETRY_DELAY).into_status()
}

/// The status of a caller that has as many streams as it may.
pub(crate) fn too_many_streams() -> Status {
    let message = format!(
        "this caller has {MAX_STREAMS} streams at this replica, and may have no more; make the same call again once \
         one of them has ended"
    );
    Problem::new(Reason::Overloaded, message).retry_after(RETRY_DELAY).into_status()
}

/// The status of a read of many accounts whose turn among those of its caller did not come in time.
pub(crate) fn no_turn() -> Status {
    let message = "this caller's calls of List and BatchGet before this one took too long, and they are done one by \
                   one; make the same call again once they have ended";
    Problem::new(Reason::Overloaded, message).retry_after(RETRY_DELAY).into_status()
}

/// The status of a call that needs no caller, where there are as many as there may be.
pub(crate) fn overloaded_without_caller() -> Status {
    let message = "as many calls of health and reflection are under way as there may be, on this connection or in all; \
                   make the same call again later";
    Problem::new(Reason::Overloaded, message).retry_after(RETRY_DELAY).into_status()
}
