//! What is asked of a store, by how many callers, and for how long.

pub(crate) mod backend;
pub(crate) mod caller;
pub(crate) mod fill;
pub(crate) mod plan;
pub(crate) mod workload;
