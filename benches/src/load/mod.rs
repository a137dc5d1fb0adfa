//! What callers ask of a store, how many callers there are, and for how long.

pub(crate) mod backend;
pub(crate) mod caller;
pub(crate) mod fill;
pub(crate) mod plan;
pub(crate) mod without_acks;
pub(crate) mod workload;
