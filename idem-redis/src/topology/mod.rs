//! The servers: which one has which slot, found out at the start and kept up to date.

mod active_watcher;
pub(crate) mod cluster;
mod discover;
pub(crate) mod node;
mod open;
pub(crate) mod servers;
mod watcher;
