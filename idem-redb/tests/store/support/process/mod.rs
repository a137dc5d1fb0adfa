//! Processes that a test starts, and the one that it is.

pub(crate) mod child;
pub(crate) mod mount;
pub(crate) mod quiet;
