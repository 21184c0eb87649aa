//! The outside world behind the domain's ports: Instagram over HTTP, the store, sealing, clock and ids.

pub mod callers;
pub mod instagram;
pub mod main_runtime;
pub mod metrics;
pub mod persistence;
pub mod sealing;
pub mod system;
