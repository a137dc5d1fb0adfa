//! The store's turn to write, in a database that the application writes to as well.

mod handover;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod model;
pub(crate) mod turn;
