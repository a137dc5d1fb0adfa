//! What was seen, and whether it may have been so.

pub(crate) mod checker;
mod checker_tests;
pub(crate) mod claims;
pub(crate) mod gap;
pub(crate) mod history;
pub(crate) mod rules;
