//! The completion of a key in a transaction of the application, on real servers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod books;
mod committing;
mod completing_twice;
mod connections;
mod crash;
mod found_out;
mod isolation;
mod libraries;
mod locking;
mod other_libraries;
mod prepared;
mod refusals;
mod row_locks;
#[path = "../store/support.rs"]
#[expect(dead_code, reason = "the tests of the store use more of it")]
mod support;
