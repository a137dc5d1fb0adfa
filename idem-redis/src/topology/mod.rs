//! The servers: which of them has which slot, discovered on opening and kept up to date.

mod active_watcher;
pub(crate) mod cluster;
mod discover;
pub(crate) mod node;
mod open;
pub(crate) mod servers;
mod watcher;
