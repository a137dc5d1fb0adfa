//! The Redis servers that tests start behave as configured and leave nothing behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod ending;
mod kinds;
mod lone;
mod pair;
mod shared;
