//! What an application may choose, and reading it from a URI or a table.

pub(crate) mod address;
mod check;
pub(crate) mod options;
pub(crate) mod postgres_config;
pub(crate) mod ssl_mode;
