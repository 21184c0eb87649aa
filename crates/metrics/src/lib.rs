//! Metrics, and their text.
//!
//! Every value of every label gets its counter and its histogram at the start, found by index from then on: to
//! count a call takes a few atomic operations and two looks at the clock, and neither a map nor an allocation.

mod call_meter;
mod computed_gauge;
mod counter;
mod counts;
mod durations;
mod gauge;
mod label;
#[cfg(target_os = "linux")]
mod process;
mod registry;
mod text_format;

pub use call_meter::{CallMeter, MeteredCall, Outcome};
pub use computed_gauge::{Compute, ComputedGauge, Labels};
pub use counter::Counter;
pub use counts::{Counts, NamedCounts};
pub use durations::Durations;
pub use gauge::{Gauge, GaugeGuard};
pub use label::Label;
pub use registry::Registry;
pub use text_format::TextFormat;
