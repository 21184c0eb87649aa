//! Parts that tests of several crates share: a store in memory, a clock to set, ids in a row, valid values, a
//! keeper with what it keeps alive.
//!
//! A dev-dependency only; nothing here is shipped.

pub mod builders;
pub mod callers;
pub mod certificates;
mod clock;
pub mod contract;
mod ids;
pub mod keeper;
mod memory;
mod metrics;
mod needles;
pub mod seeds;

pub use clock::{FakeClock, FakeTimer, ManualTimer};
pub use ids::SequentialIds;
pub use memory::{Guard, MemoryStore};
pub use metrics::RecordedMetrics;
pub use needles::Needles;
