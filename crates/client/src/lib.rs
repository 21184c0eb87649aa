#![doc = include_str!("../README.md")]

mod client;
mod credentials;
mod options;
mod refusal;
mod retry;
mod tokens;
mod watch;

#[cfg(test)]
mod fake_service;

/// The generated messages of requests and answers. They are part of this crate's own interface, so that a caller
/// depends on one crate, and on the version of them that this one was built with.
pub use ig_proto::v1 as proto;
pub use tonic::Code;

pub use self::client::AccountsClient;
pub use self::options::{ClientOptions, ConnectError};
pub use self::refusal::{FieldViolation, Reason, Refusal};
pub use self::tokens::{AccessToken, TokenCache};
pub use self::watch::{Watch, WatchError, WatchMessage, WatchOptions};
