//! The open database: who owns it, whether it can be used now, and the state that its users share.

pub(crate) mod origin;
pub(crate) mod read_latency;
pub(crate) mod slot;
pub(crate) mod state;
pub(crate) mod watcher;
