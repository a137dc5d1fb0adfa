//! What was observed, and whether the contract allows it.

pub(crate) mod checker;
mod checker_tests;
pub(crate) mod claims;
pub(crate) mod gap;
pub(crate) mod history;
pub(crate) mod rules;
mod rules_tests;
pub(crate) mod within;
