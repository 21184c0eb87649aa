//! Counts the outcomes of links and renewals, between the use cases and what they stand on.
//!
//! A link or a renewal counts when the store has confirmed its outcome, however many callers and replicas waited for
//! that.

mod links;
mod renewals;
#[cfg(test)]
mod tests;

pub use links::{CountedAttempts, LinkCounts};
pub use renewals::{CountedAccounts, CountedInstagram, RenewalCounts};
