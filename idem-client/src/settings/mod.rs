//! What the application sets, and its hooks.

pub(crate) mod hooks;
pub(crate) mod options;
