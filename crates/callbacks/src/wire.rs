//! Bodies of webhooks, as Instagram writes them: in several shapes, and with more in them than we know.

mod batch;
mod changes;
mod lenient;
mod messaging;

pub use batch::{Batch, BatchError, updates};

#[cfg(test)]
mod tests;
