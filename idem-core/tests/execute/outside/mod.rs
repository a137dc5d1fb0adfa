//! Beside the work: renewals, counts and spans, and the pointers that a store hides behind.

mod heartbeat;
#[cfg(feature = "metrics")]
mod metrics;
mod pointers;
mod spans;
