//! Servers of PostgreSQL, and what stands between them and their callers, or each other.

pub(crate) mod connect;
pub(crate) mod relay;
pub(crate) mod replicated;
pub(crate) mod small_disk;
pub(crate) mod store;
pub(crate) mod wall_clock;
