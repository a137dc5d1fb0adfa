//! Choosing a store by a URI or a table, and the errors for mistakes in either.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mistakes;
mod random;
mod raw_target;
mod registry;
mod secrets;
mod servers;
mod support;
mod units;
mod uri;
