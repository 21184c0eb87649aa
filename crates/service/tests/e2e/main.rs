//! The whole service, as its users meet it: the real binary, the real sandbox, real gRPC, real grpcurl.
//!
//! `cargo xtask test` gets what these tests need and names it in the environment.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test: what must hold is said, and a panic is how it fails"
)]

mod browser;
mod callers;
mod concurrency;
mod consent;
mod describe;
mod doctor;
mod documents;
mod errors;
mod examples;
mod flow;
mod health;
mod help;
mod hosted;
mod image_build;
mod import;
mod instagram_outages;
mod interrupted_work;
mod keeper;
mod keys;
mod listing;
mod logging;
mod metrics;
mod outages;
mod postgres;
mod probes;
mod prometheus;
mod proxied_callbacks;
mod proxy;
mod refresh;
mod removals;
mod replica_kills;
mod restore;
mod rolling;
mod rows;
mod rust_client;
mod secrets;
mod stack;
mod status;
mod stop;
mod subscriptions;
mod support;
mod tls;
mod tokens;
mod up;
mod watch;
mod webhooks;
