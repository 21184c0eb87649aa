//! Failures of `Watch` and `CommitWatch`.

use std::time::Duration;

use ig_application::{CommitWatchError, OpenWatchError, RightsLost, WatchEnd};
use ig_domain::ports::MAX_CONSUMERS;
use ig_domain::{EventKind, OwnerNotAllowed};
use tonic::Status;

use super::{Problem, Reason, ToStatus, role_missing};
use crate::calls::Rpc;

/// Delay before a stream is opened again. Ours.
const RETRY_DELAY: Duration = Duration::from_secs(1);

impl ToStatus for OpenWatchError {
    fn to_status(&self) -> Status {
        match self {
            Self::Rights(lost) => lost.to_status(),
            Self::CursorExpired => cursor_expired(),
            Self::TooManyConsumers => too_many_consumers(),
            Self::Stopped => stopping(),
            Self::Store(error) => error.to_status(),
        }
    }
}

impl ToStatus for CommitWatchError {
    fn to_status(&self) -> Status {
        match self {
            Self::CursorExpired => cursor_expired(),
            Self::TooManyConsumers => too_many_consumers(),
            Self::Store(error) => error.to_status(),
        }
    }
}

impl ToStatus for WatchEnd {
    fn to_status(&self) -> Status {
        match self {
            Self::Rights(lost) => lost.to_status(),
            Self::CursorExpired => cursor_expired(),
            Self::TooManyConsumers => too_many_consumers(),
            Self::StoreAway => store_unavailable("the service cannot reach its store"),
            Self::HoldLost => store_unavailable("the service lost its hold on the consumer"),
            Self::Stopped { .. } => stopping(),
        }
    }
}

impl ToStatus for RightsLost {
    fn to_status(&self) -> Status {
        match self {
            Self::Unauthenticated(error) => error.to_status(),
            Self::RoleMissing => role_missing(Rpc::Watch),
            Self::KindNotAllowed(kind) => kind_not_allowed(*kind),
            Self::OwnerNotAllowed => OwnerNotAllowed.to_status(),
            Self::CertificateExpired => {
                shutting_down("this connection's certificate was shown five minutes ago")
            }
        }
    }
}

fn kind_not_allowed(kind: EventKind) -> Status {
    let (role, kind) = (kind.role(), kind.as_str());
    let message = format!("events of kind {kind} need the role {role}, which this caller has not");
    Problem::new(Reason::PermissionDenied, message).into_status()
}

fn cursor_expired() -> Status {
    let message = "what the cursor names is not kept, or is another database's, or the consumer has no cursor: call \
                   List, then Watch after its watch_cursor";
    Problem::new(Reason::CursorExpired, message).into_status()
}

fn too_many_consumers() -> Status {
    let message = format!(
        "this caller has {MAX_CONSUMERS} consumers, and may have no more; those that nobody uses are forgotten, and \
         `instagram-accounts consumers remove` forgets one at once"
    );
    Problem::new(Reason::Overloaded, message).retry_after(RETRY_DELAY).into_status()
}

fn store_unavailable(why: &str) -> Status {
    let message = format!("{why}; call again with the last cursor");
    Problem::new(Reason::StoreUnavailable, message).retry_after(RETRY_DELAY).into_status()
}

fn stopping() -> Status {
    shutting_down("this replica stops")
}

fn shutting_down(why: &str) -> Status {
    let message = format!("{why}: connect anew, and call again with the last cursor");
    Problem::new(Reason::ShuttingDown, message).retry_after(RETRY_DELAY).into_status()
}
