//! The servers: which one has which slot, found out at the start and kept up to date.

mod active_watcher;
mod check;
pub(crate) mod cluster;
mod discover;
mod marker;
mod node;
mod open;
mod required_acks;
pub(crate) mod server_time;
pub(crate) mod servers;
mod watcher;
