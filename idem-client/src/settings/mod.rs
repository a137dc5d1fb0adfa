//! The settings of the application, and its hooks.

pub(crate) mod hooks;
pub(crate) mod options;
