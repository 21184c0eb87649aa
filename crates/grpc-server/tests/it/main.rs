//! The whole server on a loopback socket, asked by real clients, over fakes of every port.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test: a panic is how it fails")]

mod behaviour;
mod callers;
mod comments;
mod errors;
mod frames;
mod health;
mod http2;
mod import;
mod limits;
mod log;
mod metrics;
mod owners;
mod protocol;
mod reflection;
mod runtimes;
mod stop;
mod success;
mod tls;
mod tokens;
mod two_owners;
mod watch;
mod world;
