//! What operators see of a running server: log lines with the same fields everywhere, and
//! the metrics registry.
//!
//! Other crates log with the `tracing` macros and the names in [`field`], and register
//! their metrics in what [`Metrics::of_crate`] gives them. The binary calls [`log::init`]
//! and makes the one [`Metrics`].

pub mod field;
pub mod log;
mod metrics;

pub use metrics::{DURATION_BUCKETS, Metrics};
