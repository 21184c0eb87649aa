//! Failures to statuses: a code, a stable reason, its facts, and words for the person who reads them.

mod callers;
mod import;
mod instagram;
mod link;
mod problem;
mod reason;
mod requests;
mod store;
mod tokens;
mod watch;

use tonic::Status;

pub(crate) use callers::{
    no_turn, overloaded, overloaded_without_caller, role_missing, too_many_streams,
};
pub use import::ImportRefusal;
pub(crate) use problem::{Problem, internal};
pub(crate) use reason::Reason;

/// A failure that callers are told of.
pub(crate) trait ToStatus {
    /// The status, with its details but for the request id.
    fn to_status(&self) -> Status;
}
