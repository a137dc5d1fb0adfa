//! Processes that a test starts, and settings of the test's own process.

pub(crate) mod child;
pub(crate) mod mount;
pub(crate) mod quiet;
