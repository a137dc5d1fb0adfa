//! The values around a store: times, leases, limits, waiters, and what they show of themselves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod capabilities;
mod clock;
mod lease;
mod limits;
mod shown;
mod store_macro;
mod support;
