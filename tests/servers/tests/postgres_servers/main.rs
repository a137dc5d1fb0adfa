//! The PostgreSQL servers that tests start: they start, they behave as configured, and they leave nothing behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ending;
mod lone;
mod pair;
mod pooled;
