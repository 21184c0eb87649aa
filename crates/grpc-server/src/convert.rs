//! Wire to domain, naming every bad field, and back.

mod account;
mod batch;
mod cursor;
mod event;
mod fields;
mod import;
mod link;
mod listing;
mod page_token;
mod requests;
mod tokens;
mod watch;
mod watched;

pub(crate) use account::{account, read_account, reauthorization_reason, timestamp};
pub(crate) use batch::{batch_get, found_accounts};
pub(crate) use fields::InvalidRequest;
pub(crate) use import::{import, imported_account};
pub(crate) use link::{NotPresented, link, linked_account};
pub(crate) use listing::{list, listed_accounts};
pub(crate) use page_token::Listing;
pub(crate) use requests::{begin_link, begun_link, get, refresh, refreshed_account, unlink};
pub(crate) use tokens::{fetch_access_token, fetched_access_token};
pub(crate) use watch::{commit_watch, watch};
pub(crate) use watched::watch_responses;

/// Default maximum size of a message for clients, in bytes.
///
/// Source: <https://pkg.go.dev/google.golang.org/grpc#MaxCallRecvMsgSize>.
#[cfg(test)]
const DEFAULT_MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
