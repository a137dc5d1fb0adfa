//! One server: what it was found to be, and the connections to it.

mod check;
pub(crate) mod common;
pub(crate) mod connections;
mod server;
