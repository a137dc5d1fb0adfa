//! The open database: whose it is, whether it is in its place, and what its users have in common.

pub(crate) mod origin;
pub(crate) mod read_latency;
pub(crate) mod slot;
pub(crate) mod state;
pub(crate) mod watcher;
