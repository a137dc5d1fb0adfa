//! The store's own tests, on real servers. The contract is tested by the conformance cases of `tests/backends`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acks;
mod addresses;
mod erasing;
mod failover;
mod fence;
mod lost_connections;
mod one_key;
mod one_key_model;
mod opening;
mod poolers;
#[cfg(all(feature = "deadpool-postgres", feature = "sqlx"))]
mod pools;
mod prepared;
mod removing;
mod row_locks;
mod standbys;
mod support;
mod surroundings;
#[cfg(feature = "tls")]
mod tls;
mod vacuum;
mod waiting;
mod watched;
