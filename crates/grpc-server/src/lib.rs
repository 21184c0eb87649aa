//! The gRPC side of linked Instagram accounts: parse, execute, convert.
//!
//! [`serve`] runs the account service together with health and, by setting, reflection. Every call passes one
//! layer, which gives it a request id and a deadline, survives its panics and writes its log line; every
//! failure leaves as a status with a stable reason.

mod activity;
mod answer_timeout;
mod calls;
mod chain;
mod convert;
mod encoded_answer;
mod encoded_stream;
mod health;
mod meters;
mod peer_names;
mod readiness;
mod reflection;
mod server;
mod service;
mod status;
mod tls;
mod watch;

pub use calls::RequestIds;
pub use meters::ServerMeters;
pub use peer_names::PeerNames;
pub use readiness::Readiness;
pub use server::{ConnectionRuntimes, ServeError, ServerSettings, serve};
pub use service::UseCases;
pub use status::ImportRefusal;
pub use tls::{CurrentTls, InvalidTls, Tls, TlsPart, TlsPem, TlsProblem};
