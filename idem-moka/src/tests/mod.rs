//! Tests of whole stores.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod config;
mod evict;
mod expiry;
mod holder;
mod lease;
mod race;
mod share;
mod support;
