//! Beside the work: renewals, metrics, spans, and pointers to a store.

mod heartbeat;
#[cfg(feature = "metrics")]
mod metrics;
mod pointers;
mod spans;
