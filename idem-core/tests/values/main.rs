//! The values around a store: times, leases, limits, and their `Debug` and `Display`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod capabilities;
mod clock;
mod debug;
mod lease;
mod limits;
mod store_macro;
mod support;
