//! One server: what is required of it, what it reported of itself, and the connections to it.

mod check;
pub(crate) mod common;
pub(crate) mod connections;
pub(crate) mod marker;
pub(crate) mod required_acks;
pub(crate) mod requirements;
mod server;
pub(crate) mod server_time;
