//! A server of PostgreSQL, and what stands between it and its callers.

pub(crate) mod connect;
pub(crate) mod relay;
pub(crate) mod small_disk;
pub(crate) mod store;
pub(crate) mod wall_clock;
