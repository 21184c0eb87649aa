//! Whoever follows every change, while replicas and clients come and go.

mod copy;
mod kills;
mod takeover;
